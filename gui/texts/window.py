"""The window, its menus and dialogs, and words that every page uses."""

ENGLISH: dict[str, str] = {
    "app.name": "Dubwright",
    "engine.auto": "The best here",
    "engine.rewrite": "Rewrite, a draft",
    "engine.wan": "Wan, final quality",
    "error.close": "Close",
    "error.copy": "Copy details",
    "hint.key": "Key: {key}",
    "hint.offline": "The daemon is away. It can be started on the Status page.",
    "language.en": "English",
    "language.system": "As the system",
    "language.zh": "简体中文",
    "list.comma": ", ",
    "menu.edit": "Edit",
    "menu.file": "File",
    "menu.help": "Help",
    "menu.keys": "Keyboard",
    "menu.new": "New project…",
    "menu.open": "Open project…",
    "menu.quit": "Quit",
    "menu.recent": "Recent projects",
    "menu.redo": "Redo",
    "menu.save_as": "Keep the project as…",
    "menu.settings": "Settings…",
    "menu.undo": "Undo",
    "page.queue": "Queue",
    "page.shots": "Shots",
    "page.status": "Status",
    "page.takes": "Takes",
    "settings.apply": "Apply",
    "settings.cancel": "Cancel",
    "settings.language": "Language",
    "settings.restart": "The language changes at the next start.",
    "settings.theme": "Theme",
    "theme.contrast": "High contrast",
    "theme.dark": "Dark",
    "theme.light": "Light",
    "time.date": "{day} {month} {clock}",
    "time.exact": "{n} s",
    "time.hours": "{n} h {m} min",
    "time.minutes": "{n} min",
    "time.months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "time.seconds": "{n} s",
    "keys.all": """\
Everywhere
Ctrl+1 … Ctrl+5	pages
Space	play or stop
J  K  L	play backwards, stop, play; again for faster
Left  Right	one frame; with Shift one second
Home  End	in, out
Ctrl+L	loop
F	whole picture

Shots
I  O	set in, set out
V	voice begins here
A  Esc	align the voice, accept it; leave it
M  Del	begin and end a range left alone; remove it
W  B  [  ]	mask, brush, smaller, larger
Ctrl+Enter	make takes

Takes
1 … 7	take, original, side by side, wipe, difference, overlay, mask
Up  Down	other take
A  X	accept, reject
N	another take
D	the final of a draft
B	compare blind: 1, 2, 3 look; A, B choose; Esc ends

Queue
P  R  H  G	pause, resume, hold, release
M	hold until the night
T  Del	retry, cancel

Batch
Ctrl+Enter	submit all
Del	remove rows""",
}

CHINESE: dict[str, str] = {
    "app.name": "Dubwright",
    "engine.auto": "此处最佳",
    "engine.rewrite": "Rewrite，草稿",
    "engine.wan": "Wan，成片质量",
    "error.close": "关闭",
    "error.copy": "复制详情",
    "hint.key": "快捷键：{key}",
    "hint.offline": "守护进程未运行。可在“状态”页面启动。",
    "language.en": "English",
    "language.system": "跟随系统",
    "language.zh": "简体中文",
    "list.comma": "，",
    "menu.edit": "编辑",
    "menu.file": "文件",
    "menu.help": "帮助",
    "menu.keys": "键盘快捷键",
    "menu.new": "新建项目…",
    "menu.open": "打开项目…",
    "menu.quit": "退出",
    "menu.recent": "最近的项目",
    "menu.redo": "重做",
    "menu.save_as": "项目另存为…",
    "menu.settings": "设置…",
    "menu.undo": "撤销",
    "page.queue": "队列",
    "page.shots": "镜头",
    "page.status": "状态",
    "page.takes": "版本",
    "settings.apply": "应用",
    "settings.cancel": "取消",
    "settings.language": "语言",
    "settings.restart": "语言将在下次启动时更改。",
    "settings.theme": "主题",
    "theme.contrast": "高对比度",
    "theme.dark": "深色",
    "theme.light": "浅色",
    "time.date": "{month}{day}日 {clock}",
    "time.exact": "{n} 秒",
    "time.hours": "{n} 小时 {m} 分",
    "time.minutes": "{n} 分钟",
    "time.months": "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
    "time.seconds": "{n} 秒",
    "keys.all": """\
通用
Ctrl+1 … Ctrl+5	页面
空格	播放或停止
J  K  L	倒放，停止，播放；再按加速
左  右	一帧；按住 Shift 为一秒
Home  End	入点，出点
Ctrl+L	循环
F	完整画面

镜头
I  O	设置入点，设置出点
V	配音从此开始
A  Esc	对齐配音，采用；保持不动
M  Del	开始和结束保持原样的范围；移除
W  B  [  ]	遮罩，画笔，更小，更大
Ctrl+Enter	生成版本

版本
1 … 7	版本，原片，并排，划像，差异，叠加层，遮罩
上  下	其他版本
A  X	采用，弃用
N	再来一个
D	由草稿生成成片
B	盲选对比：1、2、3 查看；A、B 选择；Esc 结束

队列
P  R  H  G	暂停，继续，搁置，放行
M	搁置到今晚
T  Del	重试，取消

批量
Ctrl+Enter	全部提交
Del	移除行""",
}
