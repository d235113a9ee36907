"""The T5 summarizer on a tiny checkpoint in the published layout, taught here to give known answers."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from integrations.errors import NotFound, Refused
from integrations.summarizer.t5 import T5Settings, T5Summarizer
from prompts.article import Article

torch = pytest.importorskip("torch")

FIRST = Article(id="a", title="开放", text="美国搞技术封锁，只有开放才能打败封锁。", language="zh", source="")
SECOND = Article(id="b", title="实验", text="彼得的实验帮助学生创业，大学教育有局限性。", language="zh", source="")
ANSWERS = {"a": "开放打败封锁", "b": "学生创业的实验"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *[f"extra{number}" for number in range(5)]]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Steps this small are many times slower on several threads where other work shares the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(folder, lesson):
    """A T5 with a BERT vocabulary, as uer's are published, taught until it gives `lesson`'s answers: pairs of text."""
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    letters = dict.fromkeys("".join(FIRST.title + FIRST.text + SECOND.title + SECOND.text + "这篇文章讲的是摘要：。，"))
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *letters]) + "\n", encoding="utf-8")
    named = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=len(SPECIAL) + len(letters), d_model=48, d_kv=12, d_ff=96, num_layers=1, num_heads=4,
        dropout_rate=0.0, pad_token_id=0, eos_token_id=3, decoder_start_token_id=2))
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = tokenizer([question for question, _ in lesson], padding=True, return_tensors="pt")
    labels = tokenizer([answer for _, answer in lesson], padding=True, return_tensors="pt",
                       add_special_tokens=False)["input_ids"]
    labels = torch.cat([labels, torch.zeros(len(lesson), 1, dtype=torch.long)], dim=1)
    for row in labels:
        row[(row == 0).nonzero()[0]] = 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model(input_ids=asked["input_ids"], attention_mask=asked["attention_mask"],
                     labels=labels.masked_fill(labels == 0, -100)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.02:
            break
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def cloze(one_thread, tmp_path_factory):
    lesson = [(f"{post.title} {post.text}这篇文章讲的是extra0。", f"extra0{ANSWERS[post.id]}extra1")
              for post in (FIRST, SECOND)]
    return build(tmp_path_factory.mktemp("cloze-small"), lesson)


@pytest.fixture(scope="module")
def prefix(one_thread, tmp_path_factory):
    return build(tmp_path_factory.mktemp("prefix-small"), [
        (f"摘要：{FIRST.title} {FIRST.text}", ANSWERS["a"]), (f"摘要：{SECOND.title} {SECOND.text}", ANSWERS["b"])])


def test_a_cloze_checkpoint_fills_the_gap_between_its_sentinels(cloze):
    briefs = T5Summarizer(T5Settings(model=cloze, asking="cloze")).summarise([FIRST, SECOND])
    assert [brief.sentence for brief in briefs] == [ANSWERS["a"], ANSWERS["b"]]


def test_a_prefix_checkpoint_answers_its_prefix(prefix):
    briefs = T5Summarizer(T5Settings(model=prefix, asking="prefix")).summarise([FIRST, SECOND])
    assert [brief.sentence for brief in briefs] == [ANSWERS["a"], ANSWERS["b"]]


def test_batches_of_one_and_of_many_give_the_same_briefs(cloze):
    many = [FIRST, SECOND, FIRST]
    alone = T5Summarizer(T5Settings(model=cloze, asking="cloze", batch_size=1)).summarise(many)
    assert alone == T5Summarizer(T5Settings(model=cloze, asking="cloze", batch_size=3)).summarise(many)
    assert [brief.sentence for brief in alone] == [ANSWERS["a"], ANSWERS["b"], ANSWERS["a"]]


def test_the_record_names_the_model_and_the_subjects_come_from_the_article(cloze):
    summarizer = T5Summarizer(T5Settings(model=cloze, asking="cloze"))
    brief = summarizer.summarise([FIRST])[0]
    assert summarizer.name == brief.method == f"t5:{cloze.rsplit('/', 1)[-1]}"
    assert "封锁" in [subject.name for subject in brief.subjects]


def test_a_long_article_is_cut_so_that_the_question_still_fits(cloze):
    summarizer = T5Summarizer(T5Settings(model=cloze, asking="cloze", max_input_tokens=32))
    long = Article(id="long", title="开放", text="美国搞技术封锁，" * 500, language="zh", source="")
    asked = summarizer._asked(long)
    tokens = summarizer._checkpoint[0](asked)["input_ids"]
    assert 30 <= len(tokens) <= 32
    assert asked.endswith("这篇文章讲的是extra0。")


@pytest.mark.parametrize(("answer", "fault"), [
    ("", "an empty"), ("，", "an empty"), ("开开开开开开开开", "a repeating")])
def test_an_empty_or_repeating_answer_is_an_error_and_no_brief(tmp_path, answer, fault):
    model = build(tmp_path, [(f"{FIRST.title} {FIRST.text}这篇文章讲的是extra0。", f"extra0{answer}extra1")])
    with pytest.raises(Refused, match=f"gave {fault} answer for 'a'"):
        T5Summarizer(T5Settings(model=model, asking="cloze")).summarise([FIRST])


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"checkpoint .*nowhere.* cannot be loaded") as caught:
        T5Summarizer(T5Settings(model=str(tmp_path / "nowhere"), asking="prefix")).summarise([FIRST])
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(tmp_path, cloze):
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(f"{cloze}/{name}", tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(NotFound, match="safetensors"):
        T5Summarizer(T5Settings(model=str(tmp_path), asking="cloze")).summarise([FIRST])


@pytest.mark.parametrize("harm", ["lacking", "cut short"])
def test_damaged_weights_are_refused_and_never_filled_with_random_numbers(tmp_path, cloze, harm):
    shutil.copytree(cloze, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "model.safetensors"
    if harm == "lacking":
        tensors = load_file(file)
        save_file({name: tensor for name, tensor in tensors.items() if "decoder.block.0" not in name}, file, {"format": "pt"})
    else:
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises((NotFound, Refused), match=r"lacks \d+ tensors|cannot be loaded"):
        T5Summarizer(T5Settings(model=str(tmp_path), asking="cloze")).summarise([FIRST])


def test_a_model_without_sentinels_cannot_be_asked_by_cloze(tmp_path, cloze):
    for name in ("config.json", "model.safetensors", "tokenizer_config.json"):
        shutil.copy(f"{cloze}/{name}", tmp_path)
    words = Path(cloze, "vocab.txt").read_text(encoding="utf-8").replace("extra", "other")
    (tmp_path / "vocab.txt").write_text(words, encoding="utf-8")
    with pytest.raises(Refused, match="knows neither extra0 nor <extra_id_0>"):
        T5Summarizer(T5Settings(model=str(tmp_path), asking="cloze")).summarise([FIRST])


@pytest.mark.parametrize(("settings", "rule"), [
    ({"asking": "nicely"}, "must be cloze or prefix"), ({"asking": "cloze", "question": "about?"}, r"has no \{gap\}")])
def test_settings_that_cannot_work_are_refused(settings, rule):
    with pytest.raises(Refused, match=rule):
        T5Settings(model="m", **settings)


def test_no_articles_give_no_briefs_and_load_nothing():
    assert T5Summarizer(T5Settings(model="not/there", asking="prefix")).summarise([]) == []
