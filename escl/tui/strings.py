"""Every word of the app in English and Chinese, one table. What models, cards and errors say is not in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal

UiLanguage = Literal["en", "zh"]

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "home.tagline": ("Emotional-support models on the bench, offline", "离线评测情感支持模型"),
    "key.move": ("move", "移动"),
    "key.help": ("help", "帮助"),
    "key.palette": ("commands", "命令"),
    "key.theme": ("next theme", "换主题"),
    "key.language": ("中文", "English"),
    "key.quit": ("quit", "退出"),
    "key.live": ("watch", "观看"),
    "key.scores": ("scores", "得分"),
    "key.dialogues": ("dialogues", "对话"),
    "key.back": ("back", "返回"),
    "key.open": ("open", "打开"),
    "key.demo": ("demo", "演示"),
    "key.resume": ("resume", "继续"),
    "key.delete": ("delete", "删除"),
    "key.undo": ("undo", "撤销删除"),
    "key.begin": ("start", "开始"),
    "key.machine": ("this machine", "本机检查"),
    "key.refresh": ("look again", "刷新"),
    "key.stop": ("stop after this turn", "说完本轮后停止"),
    "key.layout": ("view", "视图"),
    "key.sort": ("sort", "排序"),
    "key.card_language": ("language", "语言"),
    "key.category": ("category", "类别"),
    "key.crisis": ("crisis cards", "危机卡片"),
    "key.cell": ("its dialogues", "相关对话"),
    "key.next": ("next", "下一个"),
    "key.previous": ("previous", "上一个"),
    "key.search": ("search", "搜索"),
    "key.supporter": ("supporter", "支持者"),
    "key.dimension": ("dimension", "维度"),
    "key.below": ("below", "低于"),
    "key.troubled": ("troubled", "有问题"),
    "key.doubt": ("in doubt", "存疑"),
    "key.beside": ("side by side", "并排"),
    "key.order": ("order", "顺序"),
    "key.clear": ("clear filters", "清除筛选"),
    "key.copy": ("copy dialogue", "复制对话"),
    "key.list": ("list / dialogue", "列表／对话"),
    "key.reasoning": ("thoughts", "思考"),
    "home.runs": ("Runs", "评测"),
    "home.looking": ("looking for runs…", "正在查找评测…"),
    "home.none": ("No run is here yet.", "这里还没有评测。"),
    "home.begin": (
        "Press d for the demo: a whole evaluation on toy models, about a minute, offline.",
        "按 d 运行演示：用玩具模型完成一次完整评测，约一分钟，无需联网。",
    ),
    "home.own": (
        "Your own model: escl run my-model.gguf --limit 20 --out my-model.db, and it shows here.",
        "评测自己的模型：escl run my-model.gguf --limit 20 --out my-model.db，随后会出现在这里。",
    ),
    "home.checking": ("checking this machine…", "正在检查本机…"),
    "home.ready": ("This machine is ready.", "本机已就绪。"),
    "home.warned": ("This machine is ready, with {n} to note.", "本机已就绪，有 {n} 项提示。"),
    "home.failed": ("{n} things on this machine must be put right.", "本机有 {n} 项需要处理。"),
    "home.more": ("(c)", "（c）"),
    "home.models": ("models here: {here} of {known}", "本机模型：{here}/{known}"),
    "home.cards": ("cards", "卡片"),
    "home.scorer": ("scorer", "评分器"),
    "home.file": ("run", "评测"),
    "home.state": ("state", "状态"),
    "home.supporters": ("supporters, average", "支持者与均分"),
    "home.dialogues": ("dialogues", "对话"),
    "home.date": ("last", "最近"),
    "resume.title": ("Go on with this run", "继续此评测"),
    "resume.text": (
        "This command starts in {folder}. It was read from the run's file: look at it before you start it when the file"
        " came from someone else.",
        "将在 {folder} 中执行下面的命令。命令来自评测文件，若文件来自他人，请先确认再开始。",
    ),
    "resume.running": ("It is running: enter watches it.", "正在进行：按回车观看。"),
    "resume.finished": ("It is finished: nothing is left to do.", "评测已完成，没有剩余工作。"),
    "trash.deleted": ("{run} is in {folder}; u brings it back.", "{run} 已移到 {folder}，按 u 恢复。"),
    "trash.restored": ("{run} is back.", "{run} 已恢复。"),
    "trash.empty": ("Nothing was deleted here.", "这里没有删除过评测。"),
    "machine.title": ("This machine", "本机"),
    "state.running": ("running", "进行中"),
    "state.finished": ("finished", "已完成"),
    "state.interrupted": ("stopped", "已停止"),
    "state.error": ("failed", "失败"),
    "state.killed": ("cut off", "被中断"),
    "state.unreadable": ("unreadable", "无法读取"),
    "state.starting": ("starting…", "正在启动…"),
    "live.looking": ("looking…", "正在读取…"),
    "live.simulation": ("Simulation", "对话"),
    "live.scoring": ("Scoring", "评分"),
    "live.turns": ("turns", "轮次"),
    "live.readings": ("readings", "评分项"),
    "live.waits": ("waits for the dialogues", "等待对话完成"),
    "live.imported": ("dialogues were spoken elsewhere", "对话来自别处"),
    "live.left": ("{time} left", "剩余 {time}"),
    "live.speed": ("Turns per second", "每秒轮次"),
    "live.reading_speed": ("Readings per second", "每秒评分项"),
    "live.in_memory": ("In memory, at most", "内存中的模型（峰值）"),
    "live.nothing_loaded": ("no model", "无模型"),
    "live.now": ("Being spoken", "正在进行的对话"),
    "live.nothing_spoken": ("no dialogue", "无"),
    "live.failures": ("Failures", "失败"),
    "live.no_failures": ("none", "无"),
    "live.more_failures": ("and {n} earlier", "另有 {n} 项"),
    "live.done": (
        "The run is finished: 2 shows the scores, 3 the dialogues.",
        "评测已完成：按 2 看得分，按 3 看对话。",
    ),
    "live.resume": ("To go on, run the same command again:", "要继续，请再次运行同一命令："),
    "live.log": ("What the command said last:", "命令最后的输出："),
    "live.stopping": ("It stops when the turns in flight are said.", "正在说的轮次完成后停止。"),
    "live.not_found": ("No process of yours works on this run.", "没有找到您的进程在处理此评测。"),
    "live.dialogues": (
        "{complete} complete, {speaking} under way, {pending} waiting, {failed} failed",
        "完成 {complete}，进行中 {speaking}，等待 {pending}，失败 {failed}",
    ),
    "scores.loading": ("working out the scores…", "正在计算得分…"),
    "scores.none": ("Nothing was scored yet.", "尚无评分。"),
    "scores.supporter": ("supporter", "支持者"),
    "scores.scale": (
        "scores 0-100, below each its 95 % interval over cards",
        "得分 0-100，下方为按卡片计算的 95 % 区间",
    ),
    "scores.marks": (
        "▸ best   s one label takes 95 % or more   ! not all dialogues are in",
        "▸ 最高   s 一个标签占 95 % 以上   ! 并非所有对话都计入",
    ),
    "scores.radar": ("middle 0, ring 50, rim 100", "中心 0，内环 50，外环 100"),
    "scores.all": ("all categories", "全部类别"),
    "scores.quality": ("quality cards", "质量卡片"),
    "scores.crisis": ("crisis cards, apart from quality", "危机卡片，不计入质量"),
    "scores.detail": ("{n} of {asked} dialogues, {cards} cards", "{asked} 个对话中的 {n} 个，{cards} 张卡片"),
    "scores.labels": ("labels", "标签"),
    "scores.limits": (
        "Evidence about a simulated seeker and an automatic scorer, not about people or clinical efficacy.",
        "这些结果只说明模拟求助者与自动评分器，不代表真人，也不代表临床效果。",
    ),
    "language.en": ("English", "英文"),
    "language.zh": ("Chinese", "中文"),
    "category.family": ("family life", "家庭生活"),
    "category.study-work": ("work and study", "工作与学习"),
    "category.society": ("society and other", "社会与其他"),
    "dimension.fluency": ("Fluency", "流畅性"),
    "dimension.diversity": ("Expression", "表达"),
    "dimension.empathic": ("Empathy", "共情"),
    "dimension.suggestion": ("Information", "信息"),
    "dimension.human": ("Humanoid", "拟人"),
    "dimension.tech": ("Skillful", "技巧"),
    "dimension.overall": ("Overall", "总体"),
    "dimension.short.fluency": ("Fluency", "流畅性"),
    "dimension.short.diversity": ("Express.", "表达"),
    "dimension.short.empathic": ("Empathy", "共情"),
    "dimension.short.suggestion": ("Inform.", "信息"),
    "dimension.short.human": ("Humanoid", "拟人"),
    "dimension.short.tech": ("Skillful", "技巧"),
    "dimension.short.overall": ("Overall", "总体"),
    "dialogues.count": ("{at} of {n}", "第 {at} 个，共 {n} 个"),
    "dialogues.looking": ("looking…", "正在查找…"),
    "dialogues.none": ("No dialogue is like that. c clears the filters.", "没有符合条件的对话。按 c 清除筛选。"),
    "dialogues.search": ("words in the dialogue or its card", "对话或卡片中的词语"),
    "dialogues.all": ("all dialogues", "全部对话"),
    "dialogues.below": ("{dimension} below {label}", "{dimension}低于 {label}"),
    "dialogues.mean": ("mean", "均值"),
    "dialogues.troubled": ("troubled", "有问题"),
    "dialogues.disagreed": ("scorers disagree", "评分者不一致"),
    "dialogues.unsure": ("scorer unsure", "评分者不确定"),
    "dialogues.searched": ("{done} of {n} searched", "已搜索 {done}／{n}"),
    "dialogues.alone": ("No other supporter has a dialogue on this card.", "没有其他支持者与此卡片的对话。"),
    "dialogues.order.planned": ("as planned", "计划顺序"),
    "dialogues.order.lowest": ("lowest first", "低分在前"),
    "dialogues.order.highest": ("highest first", "高分在前"),
    "dialogues.card": ("Card", "卡片"),
    "dialogues.no_card": ("The card is not in the run.", "评测中没有此卡片。"),
    "dialogues.labels": ("Labels", "标签"),
    "dialogues.unscored": ("not scored", "未评分"),
    "dialogues.no_label": ("no label", "无标签"),
    "dialogues.cut": ("cut by the token limit", "被长度限制截断"),
    "dialogues.no_turns": ("Nothing was said yet.", "尚未开始。"),
    "dialogues.thought": ("thought", "思考"),
    "dialogues.copied": ("copied", "已复制"),
    "dialogues.repeat": ("repeat {n}", "第 {n} 次"),
    "speaker.seeker": ("seeker", "求助者"),
    "speaker.supporter": ("supporter", "支持者"),
    "speaker.greeting": ("greeting", "问候"),
    "dialogue.pending": ("waiting", "等待"),
    "dialogue.speaking": ("under way", "进行中"),
    "dialogue.complete": ("complete", "完成"),
    "dialogue.failed": ("failed", "失败"),
    "notice.title": ("This did not work", "出了问题"),
    "notice.ways": ("esc goes back, r tries again", "esc 返回，r 重试"),
    "notice.bug": (
        "This is a bug in escl. What was stored is safe; please report the lines above.",
        "这是 escl 的缺陷。已保存的内容安全无恙，请报告以上信息。",
    ),
    "help.title": ("Keys", "按键"),
    "help.here": ("On this screen", "本页"),
    "help.everywhere": ("Everywhere", "所有页面"),
    "help.close": ("esc closes", "esc 关闭"),
    "theme.changed": ("theme: {theme}", "主题：{theme}"),
}


class Strings:
    """The app's words in one language."""

    def __init__(self, language: UiLanguage) -> None:
        self.language = language
        self._at = 0 if language == "en" else 1

    def __call__(self, name: str, **values: object) -> str:
        """Return the words called `name`, with `values` filled in."""
        words = _WORDS[name][self._at]
        return words.format(**values) if values else words


def names() -> frozenset[str]:
    """Return what the table holds."""
    return frozenset(_WORDS)


def language_of(environment: Mapping[str, str] = os.environ) -> UiLanguage:
    """Return the language that the locale asks for."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
