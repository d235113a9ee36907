"""The words of captions: how each thing that a scene has may be said, in zh and en, and what says nothing."""

from generator.layout import Arrangement, Density, Light, Place
from generator.studio.pen import Material

PLACE_WORDS: dict[str, dict[Place, tuple[str, ...]]] = {
    "zh": {"left": ("左侧", "左边", "画面左侧", "靠左"), "right": ("右侧", "右边", "画面右侧", "靠右"),
           "centre": ("中央", "居中", "画面中央", "正中"),
           "top": ("上方", "上部", "画面上方", "靠上"),
           "bottom": ("下方", "下部", "画面下方", "靠下")},
    "en": {"left": ("on the left", "at the left side", "left-aligned"),
           "right": ("on the right", "at the right side", "right-aligned"),
           "centre": ("in the centre", "in the center", "centred"), "top": ("at the top", "in the upper part", "near the top"),
           "bottom": ("at the bottom", "in the lower part", "near the bottom")},
}
DENSITY_WORDS: dict[str, dict[Density, tuple[str, ...]]] = {
    "zh": {"sparse": ("疏朗留白", "大面积留白", "极简"), "balanced": ("疏密适中", "均衡"), "dense": ("饱满密集", "丰富饱满")},
    "en": {"sparse": ("sparse with generous empty space", "minimal", "lots of empty space"), "balanced": ("balanced",),
           "dense": ("rich and dense", "dense")},
}
MATERIAL_WORDS: dict[str, dict[Material, tuple[str, ...]]] = {
    "zh": {"paper": ("纸张质感", "剪纸", "纸雕", "哑光纸面", "纸艺层叠"),
           "glass": ("玻璃质感", "磨砂玻璃", "光滑玻璃", "半透明玻璃"),
           "clay": ("黏土质感", "软陶", "圆润的黏土", "陶土质感", "3D黏土"),
           "metal": ("金属质感", "拉丝金属", "抛光金属", "铬", "金属光泽"),
           "light": ("发光", "霓虹", "辉光", "光的质感", "发光体")},
    "en": {"paper": ("paper", "paper cut", "layered paper", "matte paper"), "glass": ("glass", "frosted glass", "smooth glass"),
           "clay": ("clay", "soft clay", "rounded clay", "modelling clay"),
           "metal": ("metal", "brushed metal", "polished metal", "chrome"),
           "light": ("glowing", "neon", "made of light", "neon light")},
}
LIGHT_WORDS: dict[str, dict[Light, tuple[str, ...]]] = {
    "zh": {"left": ("左上方的光", "从左上方来的柔光", "左侧光", "光从左边来"),
           "right": ("右上方的光", "从右上方来的柔光", "右侧光", "光从右边来")},
    "en": {"left": ("light from the left", "soft light from the upper left", "lit from the left"),
           "right": ("light from the right", "soft light from the upper right", "lit from the right")},
}
NUMBER_WORDS: dict[str, dict[Arrangement, tuple[str, ...]]] = {
    "zh": {"one": ("一个", "一枚", "单个"), "two": ("两个", "2个", "一对"),
           "three": ("三个", "3个", "三枚"), "four": ("四个", "4个", "四枚")},
    "en": {"one": ("one", "a single", "1"), "two": ("two", "2", "a pair of"), "three": ("three", "3"), "four": ("four", "4")},
}
RELATION_FORMS: dict[str, dict[Arrangement, tuple[str, ...]]] = {
    "zh": {"left of": ("{a}在{b}左边", "{a}在{b}的左侧", "左边是{a}，右边是{b}"), "right of": ("{a}在{b}右边", "{a}在{b}的右侧"),
           "above": ("{a}在{b}上方", "{a}在{b}上面", "上面是{a}，下面是{b}"), "below": ("{a}在{b}下方", "{a}在{b}下面"),
           "in front of": ("{a}在{b}前面", "{b}前面有{a}", "{a}在{b}前方"), "between": ("{a}在两个{b}之间", "两个{b}中间的{a}")},
    "en": {"left of": ("{a} to the left of {b}", "{a} left of {b}", "on the left {a}, on the right {b}"),
           "right of": ("{a} to the right of {b}", "{a} right of {b}"), "above": ("{a} above {b}", "{a} over {b}"),
           "below": ("{a} below {b}", "{a} under {b}", "{a} beneath {b}"),
           "in front of": ("{a} in front of {b}", "{b} behind {a}"),
           "between": ("{a} between two {b}", "{a} in between two {b}")},
}
FILLERS = {
    "zh": ("现代极简", "扁平几何", "柔和棚拍光", "均匀的平光", "低饱和度", "不出现人脸", "弥散的天光", "清晰的顶光",
           "无文字、标志、水印或签名", "哑光细腻", "细颗粒", "纯色平涂",
           "这里记录每周值得分享的内容", "我们为什么需要它", "一篇值得读的文章", "大量负空间",
           "主体对侧留出安静的标题区域", "标题区域保持干净", "杂志封面", "插画", "渐变", "清晰的边缘", "有层次的阴影",
           "高级感", "留出标题位置", "写给大家", "关于它的一切", "爱好者", "第三百期"),
    "en": ("modern minimal", "flat geometric illustration", "soft studio lighting", "even flat light", "diffuse daylight",
           "matte texture", "fine grain", "low saturation", "no faces", "no text, logo, watermark or signature",
           "what everybody should know", "why it matters", "a field report", "quiet area for a title on the opposite side",
           "clean edges", "layered shadows", "editorial illustration", "gradients", "premium look", "things we learned",
           "for the rest of us", "part one"),
}
FORBIDDEN = {"zh": ("文字", "标志", "水印", "签名", "人脸", "人像", "杂乱", "高饱和", "低质量", "模糊", "变形", "噪点"),
             "en": ("text", "logo", "watermark", "signature", "face", "portrait", "clutter", "high saturation", "low quality",
                    "blurry", "deformed", "noise")}
QUIET_SIDES: dict[Place, tuple[Place, ...]] = {"left": ("right",), "right": ("left",), "top": ("bottom",), "bottom": ("top",),
                                               "centre": ("bottom", "top")}
"""Where a title goes beside a subject."""
SIDE_NAMES: dict[str, dict[Place, str]] = {
    "zh": {"left": "左侧", "right": "右侧", "top": "上方", "bottom": "下方"},
    "en": {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}}
SIDE_PHRASES: dict[str, tuple[str, ...]] = {
    "zh": ("左手边的{}", "右手边的{}", "左边的{}", "右边的{}", "上面的{}", "下面的{}", "{}上面", "{}下面", "{}前面", "{}后面",
           "{}旁边", "{}之间", "{}两边", "{}中间"),
    "en": ("{} on the left", "{} on the right", "on top of {}", "under {}", "above {}", "behind {}", "in front of {}",
           "next to {}", "beside {}", "between {}")}
"""What an article's sentence says of one thing's place, and means nothing to the picture."""
ROLES = {"zh": ("背景色", "主色", "点缀色", "点缀色", "点缀色"), "en": ("background", "main color", "accent", "accent", "accent")}
GLUES = {"zh": ("，", "的", "与", "：", "", "", "", "和", "如何改变"), "en": (" ", " ", " ", ", ", " and ", " for ", ": ")}
