"""Files of readers, open hosts and limits: what cannot be meant is refused before anything starts."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from dashboards.readers import Readers, ReadersError, loopback, new
from infra.local.trouble import WrongUse
from motcua.access import limited, reached, readers, unlimited
from motcua.settings import Settings

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is none in it"),
        ("[a", "]"),
        ("a = 1", "Expected `object`"),
        ('[a]\nbody = "H18"', "sha256"),
        (f'[a]\nsha256 = "{DIGEST[1:]}"', "sha256"),
        ('[a]\nsha256 = "password"', "sha256"),
        (f'[a]\nsha256 = "{DIGEST}"\nbodi = "H18"', "bodi"),
        (f'[a]\nsha256 = "{DIGEST}"\nbody = "Điện Biên"', "body"),
        (f'[a]\nsha256 = "{DIGEST}"\nbody = "H17"', "limited to H18"),
        (f'["a:b"]\nsha256 = "{DIGEST}"', "is no name"),
        (f'[""]\nsha256 = "{DIGEST}"', "is no name"),
        (f'[a]\nsha256 = "{sha256(b"").hexdigest()}"', "empty password"),
        ("\xff", "utf-8"),
        (None, "No such file"),
    ],
)
def test_a_file_of_readers_that_cannot_be_used_is_refused_with_its_name(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "readers.toml"
    if text is not None:
        file.write_bytes(text.encode("latin-1") if text == "\xff" else text.encode())
    with pytest.raises(ReadersError, match="Next: ") as refused:
        Readers.read(file, "H18")
    assert str(file) in str(refused.value)
    assert said in str(refused.value)
    with pytest.raises(WrongUse):
        readers(Settings(page_readers=str(file), body="H18"))


def test_a_file_of_readers_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "readers.toml"
    file.write_text(new("an")[1])
    for mode in (0o620, 0o602):
        file.chmod(mode)
        with pytest.raises(ReadersError, match="Next: chmod 600"):
            Readers.read(file)
    file.chmod(0o600)
    Readers.read(file)


def test_a_password_that_was_made_here_lets_its_reader_in_and_nobody_else(tmp_path: Path) -> None:
    made = {name: new(name, body) for name, body in (("an", ""), ('Đi"ện.Biên', "H18"))}
    file = tmp_path / "readers.toml"
    file.write_text("".join(lines for _, lines in made.values()), encoding="utf-8")
    known = Readers.read(file)
    for name, (password, lines) in made.items():
        assert password not in lines
        for given, admitted in ((password, True), (password[:-1], False), ("", False)):
            pair = b64encode(f"{name}:{given}".encode()).decode()
            reader = known.admitted(f"Basic {pair}")
            assert (reader is not None) == admitted
            assert reader is None or reader.body == ("" if name == "an" else "H18")


@pytest.mark.parametrize(("name", "body"), [("", ""), ("a:b", ""), ("a", "H1"), ("a", "H18\n"), ("a\n", "")])
def test_no_password_is_made_for_what_is_no_name_or_no_body(name: str, body: str) -> None:
    with pytest.raises(ReadersError):
        new(name, body)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "monitor.example", "127.evil"])
def test_a_page_open_to_the_network_without_readers_is_refused_at_its_start(host: str) -> None:
    with pytest.raises(WrongUse, match=r"open to the network.*Next: .*MOTCUA_PAGE_READERS"):
        readers(Settings(page_host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_a_page_on_loopback_needs_no_readers(host: str) -> None:
    assert readers(Settings(page_host=host)) is None
    assert loopback(host)


@pytest.mark.parametrize(
    ("listens", "at"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("localhost", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")],
)
def test_what_listens_everywhere_is_reached_on_this_machine(listens: str, at: str) -> None:
    assert reached(listens) == at


def test_a_limit_of_the_installation_is_not_asked_away() -> None:
    ours = Settings(body="H18")
    assert [limited(ours), limited(ours, "H18"), limited(Settings(), "H17")] == ["H18", "H18", "H17"]
    with pytest.raises(WrongUse, match="limited to H18"):
        limited(ours, "H17")
    with pytest.raises(WrongUse, match="limited to H18"):
        unlimited(ours, "this is about the country")
