"""Words that say nothing about what an article is about, in Chinese and English."""

_ZH = """
的 了 和 是 在 就 都 而 及 与 或 也 还 又 很 更 最 太 再 才 只 不 没 没有 有 无 这 那
这个 那个 这些 那些 这样 那样 这里 那里 这种 那种 我 你 他 她 它 我们 你们 他们 她们 它们 自己
大家 别人 人们 有人 每个 每人 某个 谁 什么 怎么 怎样 如何 为什么 哪里 哪个 哪些 多少 几 几个 一
一个 一些 一种 一样 一下 一直 一般 一定 一切 一点 一次 一方面 一部分 两个 三个 第一 第二 第三 个
种 次 位 名 条 件 点 些 年 月 日 天 时 分 秒 上 下 中 里 外 前 后 内 间 左右 之间 之前
之后 以前 以后 以来 以上 以下 以内 以外 上面 下面 前面 后面 里面 其中 其他 其它 其实 其次 首先
然后 最后 因此 所以 因为 由于 如果 假如 要是 虽然 但是 但 可是 然而 不过 而且 并且 并 或者 还是
以及 于是 那么 只要 只有 只是 无论 不管 即使 能 能够 可以 可能 应该 应当 必须 需要 要 想 会 将
把 被 让 使 对 对于 关于 根据 按照 通过 经过 从 到 向 往 由 为 为了 给 跟 同 比 用 以 于 说
看 做 去 来 得 着 过 起 起来 出 出来 出现 成为 变成 认为 觉得 知道 发现 表示 进行 使用 利用
提供 包括 属于 作为 称为 叫做 介绍 分享 推荐 讨论 非常 十分 特别 比较 相当 有点 越来越 几乎 大约
大概 目前 现在 今天 昨天 明天 今年 去年 最近 当时 这时 后来 曾经 已经 正在 刚刚 马上 总是 经常
问题 情况 方面 时候 时间 地方 东西 事情 事 原因 结果 方式 方法 部分 内容 意思 样子 程度 过程 办法
例子 作用 关系 感觉 想法 看法 观点 话题 主题 文章 本文 作者 读者 网友 原文 正文 标题 图片 封面
封面图 下图 上图 视频 链接 网站 网页 页面 周刊 杂志 本周 上周 下周 每周 周五 期 本期 投稿 欢迎
真正 真的 主要 重要 基本 完全 直接 同样 相同 不同 很多 许多 大量 大部分 少数 多数 所有 全部 任何
各种 各个 各自 有些 另外 另 此外 例如 比如 老师 先生 女士 同学 朋友 人 人类 小时 分钟 公里 美元
人民币 元 亿 万 百 千 号 版 章 节 页 篇 字 句 种类 数量 个人 全球 世界 国内 国外 一篇 一本
一家 一句话 才能 三大 两大 最大 最小 水平 公司 单位 人士 之一
"""
_EN = """
a about above actually after again against all almost also although always am an and another any anyone anything are
aren't around as at away back be became because become been before being below best better between both but by came
can can't cannot come could couldn't did didn't do does doesn't doing don't done down during each either else enough
even ever every everyone everything far few first for found from further gave get gets getting give given go goes
going gone good got great had has hasn't have haven't having he he's her here hers herself him himself his how
however i i'd i'll i'm i've if in indeed instead into is isn't it it's its itself just keep kind knew know known
last later least less let let's like likely little long look lot lots made make makes making man many may maybe me
mean means might mine more most much must my myself near need needs never new next no nobody none nor not nothing
now of off often oh ok old on once one one's ones only onto or other others our ours ourselves out over own part
people perhaps place put quite rather really right said same saw say says second see seem seems seen several shall
she should shouldn't show since so some someone something sometimes soon still such sure take taken tell than that
that's the their theirs them themselves then there there's these they they're they've thing things think this those
though thought three through thus time times to today together told too took toward tried try trying two under until
up upon us use used uses using usually very via want wants was wasn't way ways we we're we've well went were weren't
what what's whatever when where whether which while who whole whom whose why will with within without won't work
works would wouldn't year years yes yet you you'd you'll you're you've your yours yourself article post posts blog
author reader readers introduction conclusion summary chapter section example examples click subscribe newsletter
issue week weekly
"""
STOP_WORDS = frozenset(_ZH.split()) | frozenset(_EN.split())
