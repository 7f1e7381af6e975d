"""`escl bundle`: make, check and install what a machine without internet needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from escl.cli.output import print_json, progress_console, results_console
from escl.cli.progress import progress, termination_interrupts
from escl.core.counted import counted
from escl.core.printable import printable
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.bundle.create import Created
    from escl.bundle.install import Installed
    from escl.bundle.opened import Verified

bundle_app = typer.Typer(
    name="bundle",
    help="Carry models, protocols, cards and wheels to a machine without internet.\n\n"
    "Example: escl bundle create /media/stick/clinic --models esc-role --models esc-rank --wheels wheels",
    no_args_is_help=True,
)

_Source = Annotated[
    Path, typer.Argument(metavar="SRC", help="The bundle: its folder, its archive or the first volume.")
]
_Trust = Annotated[
    str | None,
    typer.Option("--trust", metavar="PUBKEY", help="The key that must have signed it: a .pub file or 64 hex digits."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What `escl bundle keygen --json` prints."""

    private_key: str
    public_key_file: str
    public_key: str


@bundle_app.command("create")
def create_bundle(
    destination: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="A folder to make, or with a name ending in .tar an archive.")
    ],
    *,
    models: Annotated[
        list[str] | None, typer.Option("--models", "--model", help="A model on the shelf, or a GGUF file. Repeatable.")
    ] = None,
    protocols: Annotated[
        list[str] | None, typer.Option("--protocol", help="An imported protocol, or a TOML file. Repeatable.")
    ] = None,
    cards: Annotated[list[Path] | None, typer.Option("--cards", help="A file of role cards. Repeatable.")] = None,
    licences: Annotated[
        list[Path] | None, typer.Option("--licence", help="A licence text to carry along. Repeatable.")
    ] = None,
    wheels: Annotated[
        Path | None, typer.Option("--wheels", help="The folder that `escl bundle wheels` filled.")
    ] = None,
    platforms: Annotated[
        list[str] | None,
        typer.Option("--platform", help="Platform tag of the far side if it is unlike here: win_amd64. Repeatable."),
    ] = None,
    python: Annotated[str | None, typer.Option("--python", help="Python of the far side if unlike here: 3.12.")] = None,
    sign: Annotated[Path | None, typer.Option("--sign", metavar="KEYFILE", help="Sign with this private key.")] = None,
    volume_size: Annotated[
        str, typer.Option("--volume-size", help="No file becomes larger; FAT32 ends below 4 GiB.")
    ] = "3900MiB",
    as_json: _Json = False,
) -> None:
    """Put models, protocols, cards and wheels into one bundle with sums, a bill of materials and a signature.

    Opens no connection. What it prints as the fingerprint belongs on paper, apart from the stick.

    Example: escl bundle create /media/stick/clinic --models esc-role --models esc-rank --wheels wheels --sign my.key
    """
    from escl.bundle.contents import gather
    from escl.bundle.create import create
    from escl.bundle.manifest import WheelTarget
    from escl.bundle.signing import Signer
    from escl.bundle.wheels import check_complete, here, read_wheels, wheel_items
    from escl.memory.devices import parse_bytes

    if not (models or protocols or cards or wheels):
        raise UsageError("nothing to put in", hint="name --models, --protocol, --cards or --wheels")
    signer = Signer(sign) if sign else None
    packages = read_wheels(wheels) if wheels else []
    target = None
    if wheels:
        check_complete(wheels, platforms or [], python)
        target = WheelTarget(platform=(platforms or [here().platform])[0], python=python or here().python)
    contents = gather(
        models=models or [],
        protocols=protocols or [],
        cards=cards or [],
        licences=licences or [],
        wheels=wheel_items(packages),
    )
    with termination_interrupts(), progress(f"bundling {destination.name}") as on_progress:
        created = create(
            destination,
            contents,
            wheels=packages,
            target=target,
            signer=signer,
            volume_bytes=parse_bytes(volume_size),
            on_progress=on_progress,
        )
    if as_json:
        print_json(created)
    else:
        _print_created(created)


@bundle_app.command("verify")
def verify_bundle(
    source: _Source,
    *,
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="Names, sizes, sums and signature only; else every file's hash.")
    ] = False,
    trust: _Trust = None,
    as_json: _Json = False,
) -> None:
    """Check that a bundle is as it was made, and by whom. Exit code 3 if it is not.

    Example: escl bundle verify /media/stick/clinic --trust maker.key.pub
    """
    from escl.bundle.opened import verify
    from escl.bundle.signing import read_public_key

    key = read_public_key(trust) if trust else None
    with progress(f"verifying {source.name}") as on_progress:
        verified = verify(source, full=not quick, trust=key, on_progress=on_progress)
    if as_json:
        print_json(verified)
    else:
        _print_verified(verified, is_trusted=key is not None)
    if verified.problems:
        raise typer.Exit(ExitCode.BAD_INPUT)


@bundle_app.command("install")
def install_bundle(
    source: _Source,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="HOME", help="Default: $ESCL_HOME, else the user's data folder.")
    ] = None,
    trust: _Trust = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that exist and differ.")] = False,
    as_json: _Json = False,
) -> None:
    """Install a bundle's models, protocols and cards, checking every byte on the way.

    A key named with --trust is remembered: from then on this home takes only bundles of trusted signers, none older
    than what the same signer brought. An install that was stopped is done again by the same command.

    Example: escl bundle install /media/stick/clinic --trust maker.key.pub
    """
    from escl.bundle.install import install
    from escl.bundle.signing import read_public_key
    from escl.core.user_home import user_home

    key = read_public_key(trust) if trust else None
    home = to or user_home()
    with termination_interrupts(), progress(f"installing {source.name}") as on_progress:
        installed = install(source, home, trust=key, replace=replace, on_progress=on_progress)
    if as_json:
        print_json(installed)
    else:
        _print_installed(installed, is_default=to is None)


@bundle_app.command("keygen")
def make_signing_key(
    path: Annotated[Path, typer.Argument(metavar="KEYFILE", help="Where the private key goes; the public one beside.")],
    *,
    as_json: _Json = False,
) -> None:
    """Make an Ed25519 key to sign bundles with: KEYFILE, to be kept secret, and KEYFILE.pub.

    Example: escl bundle keygen maker.key
    """
    from escl.bundle.signing import make_key

    public_key = make_key(path)
    made = NewKey(private_key=str(path), public_key_file=f"{path}.pub", public_key=public_key)
    if as_json:
        print_json(made)
        return
    _say(f"private key {path}: keep it secret; whoever has it can sign as you")
    _say(f"public key {path}.pub: {public_key}")


@bundle_app.command("wheels")
def collect_wheels(
    folder: Annotated[Path, typer.Argument(help="The folder to fill with wheels.")],
    *,
    escl: Annotated[
        Path | None, typer.Option("--escl", help="escl's checkout or wheel. Default: the checkout that runs.")
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Take llama.cpp as built for this processor; others may not run it.")
    ] = False,
) -> None:
    """Fill a folder with the wheels of escl and all it needs, in the versions installed here. Uses pip and a network.

    llama-cpp-python is compiled for a few minutes, for any processor of this kind; a wheel of it that lies in FOLDER
    already, such as one built for a GPU, is kept.

    Example: escl bundle wheels wheels
    """
    from escl.bundle.wheels import collect, here, read_wheels

    root = Path(__file__).resolve().parents[2]
    if escl is None and not (root / "pyproject.toml").is_file():
        raise UsageError("escl does not run from a checkout", hint="name its wheel or checkout with --escl")
    collect(folder, escl=str(escl or root), native=native)
    wheels, target = read_wheels(folder), here()
    _say(f"{folder}: {len(wheels)} wheels for {target.platform} and Python {target.python}")


def _print_created(created: Created) -> None:
    signed = f"signed by {created.signer}" if created.signer else "not signed"
    _say(f"{', '.join(created.paths)}: {counted(created.n_files, 'file')}, {created.size_bytes:,} bytes, {signed}")
    if created.models:
        _say(f"models: {', '.join(created.models)}")
    _say(f"fingerprint {created.fingerprint}")
    progress_console().print(
        "Write the fingerprint down and carry it apart from the bundle: on the far side it must be the SHA-256 of "
        "SHA256SUMS.",
        soft_wrap=True,
    )


def _print_verified(verified: Verified, *, is_trusted: bool) -> None:
    for problem in verified.problems:
        _say(f"damaged: {problem}")
    signed = "not signed"
    if verified.signer is not None:
        signed = f"signed by {verified.signer}" + ("" if is_trusted else "; compare that key with its owner's")
    depth = "every hash compared" if verified.is_full else "names, sizes, sums and signature only"
    state = "sound" if not verified.problems else f"{counted(len(verified.problems), 'file')} damaged"
    _say(f"{verified.name}, made {verified.created}: {state} ({depth}); {signed}")
    _say(f"{counted(verified.n_files, 'file')}, {verified.size_bytes:,} bytes; fingerprint {verified.fingerprint}")


def _print_installed(installed: Installed, *, is_default: bool) -> None:
    for path in installed.written:
        _say(f"new   {path}")
    for path in installed.kept:
        _say(f"there {path}")
    signed = (
        f"signed by {installed.signer}" if installed.signer else "not signed: nobody vouches for it but its carrier"
    )
    _say(f"installed in {installed.home}; {signed}; fingerprint {installed.fingerprint}")
    if not is_default:
        progress_console().print(printable(f"set ESCL_HOME={installed.home} to use it"), markup=False, soft_wrap=True)


def _say(line: str) -> None:
    results_console().print(printable(line), markup=False, soft_wrap=True)
