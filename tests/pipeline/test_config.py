from pathlib import Path

import pytest
import yaml

from benben.pipeline import config
from benben.pipeline.config import ConfigError

GOOD = yaml.safe_load((config.CONFIGS / "default.yaml").read_text()) | {"input": ["crawl"]}


def write(folder: Path, data: object) -> str:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_a_good_config_loads_and_overrides_apply(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    loaded = config.load(path, ["fingerprint.bands=20", "spark.options={a.b: c}"])
    assert loaded.fingerprint.bands == 20
    assert loaded.spark.options == {"a.b": "c"}


def test_a_threshold_chooses_bands_wherever_it_is_given(tmp_path: Path) -> None:
    section = {"minhash": {"threshold": 0.5}}
    based = write(tmp_path, {"base": "default", "input": ["x"], "deduplicate": section})
    by_file = config.load(based)
    by_override = config.load("default", ["input=[x]", "deduplicate.minhash.threshold=0.5"])
    chosen = by_file.deduplicate.minhash.chosen
    for loaded in (by_file, by_override):
        assert (loaded.fingerprint.bands, loaded.fingerprint.rows) == chosen
    assert chosen != (14, 8)
    again = write(tmp_path, by_file.model_dump(mode="json"))  # as a run stores it
    assert config.load(again).fingerprint == by_file.fingerprint


@pytest.mark.parametrize("later", [True, False])
def test_a_threshold_with_other_bands_is_refused(tmp_path: Path, later: bool) -> None:
    data = {"base": "default", "input": ["x"], "deduplicate": {"minhash": {"threshold": 0.5}}}
    more = {} if later else {"fingerprint": {"bands": 20}}
    with pytest.raises(ConfigError) as error:
        config.load(write(tmp_path, data | more), ["fingerprint.bands=20"] if later else [])
    message = str(error.value)
    assert "deduplicate: minhash.threshold chooses" in message
    assert "leave out fingerprint.bands" in message
    assert "verify_jaccard" not in message  # the section is not printed


def test_a_misspelt_key_is_named_with_the_file_and_a_suggestion(tmp_path: Path) -> None:
    bad = GOOD | {"deduplicate": GOOD["deduplicate"] | {"ulr": True}}
    with pytest.raises(ConfigError) as error:
        config.load(write(tmp_path, bad))
    assert "run.yaml: deduplicate.ulr: unknown key (did you mean 'url'?)" in str(error.value)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    bad = GOOD | {"inptu": 1, "output": 3}
    with pytest.raises(ConfigError) as error:
        config.load(write(tmp_path, bad), ["fetch.limits.seconds=soon"])
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert any("inptu: unknown key (did you mean 'input'?)" in line for line in lines)
    assert any("output:" in line and "got 3" in line for line in lines)
    assert any("fetch.limits.seconds:" in line and "got 'soon'" in line for line in lines)


def test_a_missing_key_says_so(tmp_path: Path) -> None:
    bad = {key: value for key, value in GOOD.items() if key != "output"}
    with pytest.raises(ConfigError, match="output: this key is needed"):
        config.load(write(tmp_path, bad))


def test_a_missing_file_lists_the_shipped_configs() -> None:
    with pytest.raises(ConfigError, match=r"defalt: no such config file \(did you mean 'default'"):
        config.load("defalt")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fetch", "write it as key=value"),
        ("output.x=1", "output is a single value, not a section"),
        ("output=[", "is not a YAML value"),
    ],
)
def test_a_bad_override_is_explained(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load(write(tmp_path, GOOD), [override])


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("input: [\noutput: }")
    with pytest.raises(ConfigError, match="line 2"):
        config.load(str(path))


def test_a_config_says_only_what_differs_from_its_base(tmp_path: Path) -> None:
    own = {
        "base": "default",
        "input": ["crawl"],
        "fetch": {"enabled": False},
    }
    loaded = config.load(write(tmp_path, own))
    assert not loaded.fetch.enabled
    assert loaded.fetch.user_agent == GOOD["fetch"]["user_agent"]


def test_a_rule_of_ones_own_keeps_the_others_of_the_base(tmp_path: Path) -> None:
    own = {"document": {"words": {"min": 1}, "mean_word_length": {"max": 12}}}
    path = write(tmp_path, {"base": "default", "input": ["crawl"], "rules": own})
    rules = config.load(path).rules
    assert rules.document.keys() == {*GOOD["rules"]["document"], "mean_word_length"}
    assert rules.document["words"].min == 1
    assert rules.document["words"].max == GOOD["rules"]["document"]["words"]["max"]
    assert rules.text_node.keys() == GOOD["rules"]["text_node"].keys()
    scopes = ("text_node", "image_node", "document")
    number = sum(len(GOOD["rules"][scope]) for scope in scopes) + 1
    expected = f"{number} rules: 1 differ from default, 1 added, 0 of it removed"
    assert config.describe_rules(path, rules) == expected


def test_null_removes_a_rule_or_all_of_a_scope(tmp_path: Path) -> None:
    own = {"document": {"words": None}, "image_node": None}
    path = write(tmp_path, {"base": "default", "input": ["crawl"], "rules": own})
    rules = config.load(path, ["rules.document.images=null"]).rules
    removed = {"words", "images"}
    assert rules.document.keys() == GOOD["rules"]["document"].keys() - removed
    assert not rules.image_node
    assert rules.text_node.keys() == GOOD["rules"]["text_node"].keys()
    assert f"{2 + len(GOOD['rules']['image_node'])} of it removed" in config.describe_rules(
        path, rules
    )


def test_overrides_count_as_differences_from_a_config_without_base() -> None:
    rules = config.load("default", ["input=[x]", "rules.document.words.min=7"]).rules
    assert "1 differ from default" in config.describe_rules("default", rules)


def test_a_config_based_on_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="based on this config itself"):
        config.load(write(tmp_path, {"base": str(tmp_path / "run.yaml")}))


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample").mkdir()
    monkeypatch.chdir(tmp_path)
    assert str(config.find("sample")).endswith("configs/sample.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "fetch:\n  enabled: false\nfetch:\n  hosts: 3\n",
            r"key 'fetch' stands twice, first in line 1.*line 3",
        ),
        ("fetch: {hosts: 3, 'hosts': 4}\n", r"key 'hosts' stands twice, first in line 1"),
        ("signals: {spam_words: {no: [x]}}\n", r"key 'no'; YAML takes .*'no'"),
    ],
)
def test_yaml_that_would_lose_something_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load(str(path))


def test_mappings_may_be_merged_by_anchors(tmp_path: Path) -> None:
    """A key of one's own beside a merged one is no key written twice, at any depth of merging."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "base: default\ninput: x\nrules:\n  text_node: &text {words: &words {min: 3}}\n"
        "  image_node: &image {<<: *text, words: {<<: *words, min: 4}}\n"
        "  document: {<<: *image, words: {<<: *words, max: 9}}\n"
    )
    rules = config.load(str(path)).rules
    assert rules.text_node["words"].min == 3
    assert rules.image_node["words"].min == 4
    assert (rules.document["words"].min, rules.document["words"].max) == (3, 9)


def test_a_truth_value_in_a_list_of_texts_is_explained(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"got False; YAML takes yes, no"):
        config.load(path, ["index={table: x, languages: [no, sv]}", "input=[]"])


def test_one_text_stands_for_a_list_and_a_pattern_needs_no_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert config.load(path, ["input=crawl/*.warc.gz"]).input == ["crawl/*.warc.gz"]
    assert config.load(path, ["input=*.warc.gz"]).input == ["*.warc.gz"]


def test_a_mistake_names_the_file_or_the_override_that_holds_it(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(GOOD | {"report": GOOD["report"] | {"topics": "many"}}))
    path = write(tmp_path, {"base": str(base), "fetch": {"hosts": 0}})
    with pytest.raises(ConfigError) as error:
        config.load(path, ["fetch.limits.seconds=soon"])
    lines = sorted(str(error.value).split("\n"))
    assert lines[0].startswith(f"{base}: report.topics: ")
    assert lines[1].startswith(f"{path}: fetch.hosts: ")
    assert lines[2].startswith("override 'fetch.limits.seconds=soon': fetch.limits.seconds: ")


@pytest.mark.parametrize("name", config.shipped())
def test_a_stored_config_is_read_from_the_folder_of_its_run(name: str, tmp_path: Path) -> None:
    output = f"output={tmp_path / 'first'}"
    more = ["index=null"] if name == "commoncrawl" else []
    stored = config.load(name, ["input=[x]", output, *more])
    config.store(stored)
    assert config.load(str(tmp_path / "first")) == stored
    (tmp_path / "first").rename(tmp_path / "moved")
    moved = config.load(str(tmp_path / "moved"), ["rules.document.words.min=9"])
    assert moved.output == str(tmp_path / "moved")
    assert moved.rules.document["words"].min == 9
    assert config.of_run(str(tmp_path / "nowhere")) is None
