"""Briefs without a model: the right sentence, the right subjects, and texts that mean harm."""

import math
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.topics import motifs_of
from integrations.errors import Refused
from integrations.summarizer.extractive import ExtractiveSummarizer
from integrations.summarizer.ranking import theme_of
from integrations.summarizer.words import MAX_SENTENCES, sentences_of, words_of
from prompts.article import Article, detect_language
from prompts.brief import MAX_CHARACTERS_ZH, MAX_WORDS_EN

WEEKLY = """本杂志开源，欢迎投稿，也欢迎推荐内容。
封面图
博物馆重新开馆，工作人员正在清洁恐龙化石的展品。
本周话题：节约用水要从农业开始
今天谈谈城市缺水的局面，以及可以怎么应对。
农业灌溉用掉了七成的淡水，节约用水首先要从农业灌溉开始。
滴灌技术把水直接送到作物根部，浪费最少。
总之，农业节约用水，城市才不会缺水。
科技动态
一家公司发布了新的自行车轮胎，轮胎里面是金属弹簧，不用充气。
冰岛举行总统选举，报名资格是一千五百人的签名。
一位地质学家找到了名画背景里的湖和桥。
"""
ENGLISH = """Open source has changed how companies build software. Every vendor once wrote its own database.
Dr. Smith at the U.S. Naval Lab argued in 1998 that shared code would win. He was right.
But open networks need maintainers. A popular library may depend on one tired volunteer.
Subscribe to our newsletter for more posts like this.
The lesson is simple: fund the maintainers of open source before the libraries break.
Several foundations now pay maintainers directly."""


def article(title="", text="", language="zh", **more):
    return Article(id="p", title=title, text=text, language=language, source="", **more)


def brief(*args, **more):
    return ExtractiveSummarizer().summarise([article(*args, **more)])[0]


def names(brief):
    return [subject.name for subject in brief.subjects]


def test_the_sentence_with_the_titles_words_wins_over_boilerplate_and_other_parts():
    assert brief("某周刊（第 12 期）：节约用水要从农业开始", WEEKLY).sentence in (
        "农业灌溉用掉了七成的淡水，节约用水首先要从农业灌溉开始。", "农业节约用水，城市才不会缺水。")


def test_the_subjects_are_those_of_the_topic_and_not_of_the_other_parts():
    found = names(brief("某周刊（第 12 期）：节约用水要从农业开始", WEEKLY))
    assert "农业" in "".join(found)
    assert not {"轮胎", "总统", "冰岛", "杂志", "封面图", "周刊"} & set(found)


def test_an_english_article_gets_an_english_brief():
    made = brief("Weekly #12: Fund the maintainers of open source", ENGLISH, "en")
    assert made.sentence == "The lesson is simple: fund the maintainers of open source before the libraries break."
    assert names(made)[:2] == ["maintainers", "open source"]
    assert (made.language, made.method) == ("en", "extractive")


def test_the_authors_own_summary_is_taken_if_there_is_one():
    described = brief("题目", WEEKLY, description="本文说明农业怎样节约用水。还有第二句。")
    assert described.sentence == "本文说明农业怎样节约用水。"
    assert brief("节约用水", WEEKLY, description="English words only, all of them.").sentence != (
        "English words only, all of them.")
    assert "节约用水" in brief("节约用水", WEEKLY, description="水").sentence


def test_a_title_that_the_sentence_does_not_repeat_leads_it():
    assert brief("新书", "疫情以后，他回到了自己的家乡。他在那里写作。").sentence.startswith("新书：")


def test_a_question_as_title_is_kept_with_its_answer():
    made = brief("你想住在哪里？", "沿海城市的生活条件都很好。内地也不差。")
    assert made.sentence.startswith("你想住在哪里：沿海")


def test_headings_and_calls_to_the_reader_are_no_summary():
    made = brief("开放", "关于开放与封锁的讨论\n点击关注开放社区的公众号吧。\n开放的社区打败了封锁的公司。")
    assert made.sentence == "开放的社区打败了封锁的公司。"


def test_a_call_to_the_reader_is_no_summary_even_with_all_of_the_titles_words():
    made = brief("开放与封锁", "点击这里了解社区的开放与公司的封锁。\n封锁从来挡不住愿意分享的社区。")
    assert made.sentence.endswith("封锁从来挡不住愿意分享的社区。")


def test_the_title_finds_its_sentence_far_below_the_opening():
    other = "".join(f"博物馆的第{number}个展厅陈列着恐龙化石和矿石标本。\n" for number in "一二三四五六七八九十")
    text = f"{other * 2}海边的灯塔为夜航的渔船指引方向。\n{other}"
    assert brief("灯塔与渔船", text).sentence == "海边的灯塔为夜航的渔船指引方向。"


def test_weights_sum_to_one_and_fall():
    made = brief("某周刊（第 12 期）：节约用水要从农业开始", WEEKLY)
    weights = [subject.weight for subject in made.subjects]
    assert 2 <= len(weights) <= 5
    assert math.isclose(sum(weights), 1)
    assert weights == sorted(weights, reverse=True)


def test_the_same_article_gives_the_same_brief_also_in_another_process():
    here = brief("节约用水要从农业开始", WEEKLY)
    code = ("import sys; from prompts.article import Article\n"
            "from integrations.summarizer.extractive import ExtractiveSummarizer\n"
            "a = Article(id='p', title='节约用水要从农业开始', text=sys.stdin.read(), language='zh', source='')\n"
            "print(ExtractiveSummarizer().summarise([a])[0])")
    there = subprocess.run([sys.executable, "-c", code], input=WEEKLY, capture_output=True, text=True, check=True,
                           env={"PYTHONHASHSEED": "7", "PYTHONPATH": ".", "PYTHONUTF8": "1"})
    assert there.stdout.strip() == repr(here)
    assert there.stderr == ""


def test_tags_make_a_subject_weigh_more():
    def weight(**more):
        return {s.name: s.weight for s in brief("节约用水", WEEKLY, **more).subjects}.get("灌溉", 0)

    assert weight(tags=("灌溉",)) > weight()


@pytest.mark.parametrize(("title", "text", "motif"), [
    ("周末记事", "早上去喝咖啡。店里的咖啡豆是新烘的。朋友聊起公司的事。手冲咖啡要慢。", "cup"),
    ("Notes", "We asked around. The old bridge was closed. Nobody wanted to cross the bridge, so we walked.", "bridge"),
    ("右手边", "两百人右手边的事情。三个月以后的事情。", None)])
def test_what_a_cover_can_show_best_comes_first(title, text, motif):
    lead = "".join(names(brief(title, text, detect_language(text)))[:1])
    assert motifs_of(lead) == ({motif} if motif else frozenset())


def test_common_english_words_are_no_subjects():
    text = "They asked me twenty times behind the garage. We stopped looking at the garage across it."
    made = brief("What nobody wanted", text, "en")
    assert not {"asked", "wanted", "twenty", "behind", "stopped", "looking", "across"} & {name.lower() for name in names(made)}
    assert "garage" in names(made)


def test_what_no_dictionary_has_counts_only_when_said_twice():
    assert "琵鹭" not in "".join(names(brief("湿地", "黑脸琵鹭飞过了湿地。湿地有水。")))
    assert "黑脸琵鹭" in "".join(names(brief("湿地", "黑脸琵鹭飞过了湿地。黑脸琵鹭吃鱼。黑脸琵鹭很少。")))


def test_many_articles_keep_their_order():
    articles = [article("甲", "苹果今年的收成非常好。"), article("乙", "香蕉今年的收成也非常好。")]
    assert [brief.sentence[:4] for brief in ExtractiveSummarizer().summarise(articles)] == ["甲：苹果", "乙：香蕉"]


@pytest.mark.parametrize(("title", "text"), [("", ""), ("😀", "😀😀"), ("？", "！！！")])
def test_an_article_without_words_is_refused(title, text):
    with pytest.raises(Refused, match="'p' has no words"):
        brief(title, text)


@pytest.mark.parametrize(("title", "text"), [
    ("只有标题", ""), ("", "短。"), ("标" * 500, "标" * 500), ("x", "哈" * 200_000),
    ("<script>alert(1)</script>", "{{7*7}}。"), ("题", "字。" * 20_000), ("题", "同一句话重复很多遍。\n" * 500),
    ("a", "，" * 100_000 + "完。")])
def test_odd_articles_get_a_brief_that_keeps_the_rules(title, text):
    made = brief(title, text)
    assert 0 < len(made.sentence) <= MAX_CHARACTERS_ZH
    assert len(made.subjects) <= 5


@given(title=st.text(max_size=60), text=st.text(max_size=300), language=st.sampled_from(["zh", "en"]))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_a_brief_or_is_refused(title, text, language):
    try:
        made = brief(title, text, language)
    except Refused:
        assert not any(map(str.isalnum, title)) or not any(map(str.isalnum, text))
        return
    length = len(made.sentence) if language == "zh" else len(made.sentence.split())
    assert 0 < length <= (MAX_CHARACTERS_ZH if language == "zh" else MAX_WORDS_EN)
    assert not made.subjects or math.isclose(sum(subject.weight for subject in made.subjects), 1)


def test_a_long_article_is_summarised_in_300_ms_once_the_dictionary_is_loaded():
    long = "".join(f"第{number}段讲农业灌溉与城市供水的一种办法，滴灌技术节约了很多淡水。\n" for number in range(400))
    brief("节约用水", WEEKLY)
    best = math.inf
    for _ in range(3):  # other work on the machine must not fail this
        started = time.perf_counter()
        brief("节约用水", long)
        best = min(best, time.perf_counter() - started)
    assert best < 0.3


def test_importing_the_default_summarizer_loads_neither_jieba_nor_torch():
    code = "import sys, integrations.summarizer.extractive; print({'jieba', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("title", "theme"), [
    ("某某周刊（第 120 期）：只有开放才能打败封锁", "只有开放才能打败封锁"), ("Weekly #12: Who pays?", "Who pays?"),
    ("第三章 所有权", "所有权"), ("Rust 笔记：所有权", "Rust 笔记 所有权"), ("普通标题", "普通标题"),
    ("周刊", "周刊"), ("", "")])
def test_the_name_and_number_of_a_series_are_no_theme(title, theme):
    assert theme_of(title) == theme


@pytest.mark.parametrize(("text", "sentences"), [
    ("第一句。第二句！第三句？第四；完", ["第一句。", "第二句！", "第三句？", "第四；", "完"]),
    ("他说：“真的吗？”然后走了。", ["他说：“真的吗？”", "然后走了。"]),
    ("Dr. Smith paid $3.5 to J. K. Rowling, e.g. today. He left!", [
        "Dr. Smith paid $3.5 to J. K. Rowling, e.g. today.", "He left!"]),
    ("Yes... He left.", ["Yes...", "He left."]),
    ("深度学习……这些词是什么意思？", ["深度学习……这些词是什么意思？"]),
    ("等等…… 后来呢", ["等等……", "后来呢"]), ("一行\n二行", ["一行", "二行"]),
    ("版本 1.2.3 发布", ["版本 1.2.3 发布"]), ("", [])])
def test_sentences_end_where_a_reader_ends_them(text, sentences):
    assert sentences_of(text) == sentences


def test_no_more_sentences_than_needed_are_looked_at():
    assert len(sentences_of("一句话。" * 50_000)) == MAX_SENTENCES


@pytest.mark.parametrize(("sentence", "language", "words"), [
    ("我们认为这个问题是可以解决的", "zh", ["解决"]), ("彼得·蒂尔的实验", "zh", ["彼得·蒂尔", "实验"]),
    ("OpenAI 的人工智能模型", "zh", ["OpenAI", "人工智能", "模型"]), ("Dan Wang 的新书", "zh", ["Dan Wang", "新书"]),
    ("The Rust compiler doesn't use it", "en", ["Rust", "compiler"])])
def test_only_telling_words_count(sentence, language, words):
    assert words_of(sentence, language) == words
