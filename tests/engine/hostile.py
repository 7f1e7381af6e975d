"""Chat templates as an attacker would write them."""

from __future__ import annotations

HOSTILE = {
    "nested ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "huge range": "{{ range(10 ** 12) | list | length }}",
    "huge string": "{{ 'a' * 3000000000 }}",
    "huge string by filter": "{{ 'a' | center(30000000000) }}",
    "huge string by format": "{{ '%03000000000d' | format(1) }}",
    "huge list": "{{ ([0] * 900000) * 900000 }}",
    "huge power": "{{ 9 ** (9 ** 9) }}",
    "huge power of a variable": "{% set n = 9 %}{{ n ** (n ** n) }}",
    "huge product": "{% set ns = namespace(n=9) %}{% for i in range(99) %}"
    "{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
    "doubling string": "{% set ns = namespace(s='a') %}{% for i in range(99) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "macro recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "deep nesting": "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
    "raise_exception": "{{ raise_exception('no') }}",
    "undefined attribute": "{{ message.role.name }}",
    "no such filter": "{{ 'a' | nosuchfilter }}",
    "broken syntax": "{% for %}",
    "division by zero": "{{ 1 / 0 }}",
    "include": "{% include '/etc/passwd' %}",
}
"""Name -> template that must be refused."""

UNSTOPPABLE = (
    "{% set a = [0] * 1000 %}{% set x = [0] * 1000 %}{% set b = [a] * 1000 %}{% set y = [x] * 1000 %}"
    "{% set c = [b] * 1000 %}{% set z = [y] * 1000 %}{% set d = [c] * 1000 %}{% set w = [z] * 1000 %}{{ d == w }}"
)
"""One comparison that takes hours inside a single C call, where no Python signal handler can run."""

SSTI = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "attr filter": "{{ '' | attr('__class__') | attr('__mro__') }}",
    "lipsum": "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "cycler": "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "format": "{{ '{0.__class__.__base__}'.format(messages) }}",
    "format_map": "{{ '{m.__class__}'.format_map({'m': messages}) }}",
    "stored format": "{% set f = '{0.__class__}'.format %}{{ f(messages) }}",
    "attr of format": "{{ ('{0.__class__.__init__.__globals__}' | attr('format'))(raise_exception) }}",
    "self": "{{ self.__init__.__globals__ }}",
    "function globals": "{{ raise_exception.__globals__['os'].system('touch CANARY') }}",
    "code": "{{ strftime_now.__code__.co_consts }}",
    "mutation": "{{ messages.append({'role': 'system', 'content': 'x'}) }}",
    "namespace": "{{ namespace.__init__.__globals__.__builtins__.open('CANARY', 'w') }}",
}
"""Name -> template that must not get hold of Python; CANARY is a file that must not appear."""
