"""Lines that a site repeats under every post: calls to subscribe, licences, credits. They are not what it is about."""

import re

LONGEST_CHARACTERS = 160
"""A longer paragraph is the author speaking, whatever words it contains."""

_PHRASES = re.compile(
    r"欢迎(提交|投稿|关注|订阅|转载|扫码|加入|访问)|(转载|引用)(请|须|需)(注明|联系|保留)|版权(声明|所有)|未经(授权|许可).{0,8}转载|"
    r"本文(首发|采用|作者|链接|同步)|关注.{0,8}公众号|扫(描|一扫).{0,6}二维码|谁在招人|(合作|推广).{0,10}(联系|邮件)|点赞.{0,6}(收藏|转发|关注)|"
    r"上一篇|下一篇|相关(文章|阅读)[:：]|阅读原文|^（完）$|^\(完\)$|知识共享|署名-?非商业|这里记录每周|每周五?(发布|更新)|"
    r"all rights reserved|creative commons|\bcc[ -]by\b|subscribe to (my|our|the|this)|sign up for (my|our|the)|"
    r"follow (me|us) on|originally (published|posted)|share this (post|article)|related (posts|articles)\b|"
    r"leave a comment|powered by (hexo|hugo|jekyll|wordpress|ghost)|click here to|read more\s*[»→.…]*$",
    re.I)
_CREDIT = re.compile(r"[（(]\s*(?:via|来源|图源|source|photo by)?\s*[:：]?[^（）()\n。！？]{0,40}[）)]", re.I)
_CREDITED = re.compile(r"[（(]\s*(?:(?:via|来源|图源|source|photo by)\b|来源|图源|[）)])", re.I)


def is_boilerplate(paragraph: str) -> bool:
    """True for a short paragraph that sites repeat under every post."""
    return len(paragraph) <= LONGEST_CHARACTERS and bool(_PHRASES.search(paragraph))


def without_credits(line: str) -> str:
    """`line` without brackets that hold nothing or only name a picture's source."""
    return _CREDIT.sub(lambda found: "" if _CREDITED.match(found[0]) else found[0], line)
