"""The Hub over TLS and through proxies, as the environment says it: commands as a user runs them, and every refusal.

The Hub is `hub.test`, a name that only the proxy knows; its certificate is signed by a CA that nobody here trusts.
"""

import csv
import os
import ssl
from pathlib import Path
from urllib.request import getproxies

import pytest
import trustme

from tests.acceptance.command import inspector
from tests.adapters.hub.cases import failure, only, quicken
from tests.hub_server import HubServer
from tests.makers import random_factors, write_adapter
from tests.proxy_server import ProxyServer

pytestmark = pytest.mark.slow

WEIGHTS = "adapter_model.safetensors"
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No proxy and no certificates but those of a test."""
    for name in [*CERTIFICATES, *(n for n in os.environ if n.lower().endswith("_proxy"))]:
        monkeypatch.delenv(name, raising=False)
    assert not getproxies()
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trust(authority, tmp_path):
    """The variable by which a user trusts the Hub's certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}


@pytest.fixture
def hub(authority, tmp_path):
    """org/one over TLS: weights of several download chunks."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "hub.test", "xet.test").configure_cert(tls)
    with HubServer(tls) as server:
        folder = write_adapter(tmp_path / "one", random_factors({"layers.0.q_proj": (1000, 1000)}, r=100))
        server.one = server.add("org/one", folder, lfs=True)
        yield server


@pytest.fixture
def away(hub, trust, tmp_path):
    """The environment of a process that reaches the Hub by a proxy alone."""
    return hub.environment(tmp_path / "home") | trust | {"HF_ENDPOINT": "https://hub.test"}


@pytest.fixture
def here(hub, away, monkeypatch, tmp_path):
    """The same for this process: called with variables, they hold from then on."""
    from huggingface_hub import close_session, constants

    def environment(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        close_session()

    hub.patch(monkeypatch, tmp_path / "home")
    point(monkeypatch, "https://hub.test")
    quicken(monkeypatch)
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 5)
    environment(SSL_CERT_FILE=away["SSL_CERT_FILE"])
    yield environment
    close_session()


def point(monkeypatch, endpoint: str) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def same_as_on_disk(folder: Path, **env: str) -> None:
    """`analyze` of org/one and of the folder it was published from: not a digit differs."""
    out = folder.with_suffix(".csv")
    done = inspector("analyze", f"disk={folder}", "hub=org/one", "--metric", "norm", "--out", out, **env)
    assert done.returncode == 0, done.stderr
    values: dict[str, list[str]] = {"disk": [], "hub": []}
    for row in csv.DictReader(out.read_text(encoding="utf-8").splitlines()):
        values[row["a"]].append(row["value"])
    assert values["hub"] == values["disk"] != []
    assert float(values["hub"][0]) > 0


def refused(*args: str, **env: str) -> str:
    """The one line of an error that ends a command with exit code 2, and tells no password."""
    done = inspector(*(args or ("ls", "org/one")), **env)
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert SECRET not in line
    return line


def with_login(proxy: ProxyServer, password: str = SECRET) -> str:
    return f"http://me:{password}@{proxy.address}"


def test_tls_with_a_certificate_of_ones_own(hub, trust, tmp_path):
    env = hub.environment(tmp_path / "home") | trust
    assert env["HF_ENDPOINT"].startswith("https://localhost:")
    done = inspector("ls", "org/one", **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"org/one@{hub.one.commit}"
    same_as_on_disk(tmp_path / "one", **env)
    assert ("GET", f"org/one/resolve/{hub.one.commit}/{WEIGHTS}") in hub.requests


def test_a_certificate_that_is_not_trusted(hub, trust, tmp_path):
    """REQUESTS_CA_BUNDLE was read by the library that huggingface_hub used before httpx."""
    env = hub.environment(tmp_path / "home")
    why = f"Error: Cannot reach {hub.url} for org/one, and it is not in the cache: its certificate is not trusted "
    line = refused(**env, REQUESTS_CA_BUNDLE=trust["SSL_CERT_FILE"])
    assert line.startswith(why)
    assert line.endswith("Name the file of the CA that signed it in SSL_CERT_FILE (REQUESTS_CA_BUNDLE is not read).")
    assert not hub.requests


def test_a_certificate_that_is_not_trusted_through_a_proxy(hub, here, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with ProxyServer(hub.port) as proxy:
        here(HTTPS_PROXY=proxy.url)
        assert failure("org/one").endswith("Name the file of the CA that signed it in SSL_CERT_FILE.")


def test_a_certificate_of_another_host(hub, here, monkeypatch):
    point(monkeypatch, f"https://127.0.0.1:{hub.port}")
    message = failure("org/one")
    assert "its certificate is not trusted (IP address mismatch" in message
    assert message.endswith("Check HF_ENDPOINT, and the clock of this machine.")


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("none", "no certificate is in it")])
def test_a_file_of_certificates_that_is_none(here, tmp_path, content, why):
    file = tmp_path / "mine.pem"
    if content:
        file.write_text(content)
    here(SSL_CERT_FILE=str(file))
    message = failure("org/one")
    assert f"SSL_CERT_FILE is '{file}' ({why}" in message
    assert message.endswith("Name a file with the CA's certificate (PEM).")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_a_tunnel(hub, here, variable):
    with ProxyServer(hub.port) as proxy:
        here(**{variable: proxy.url})
        assert only("org/one").files[0].read_bytes() == hub.one.files[WEIGHTS]
        assert set(proxy.asked) == {("CONNECT", "hub.test:443")}


def test_a_tunnel_from_the_command_line(hub, away, tmp_path):
    with ProxyServer(hub.port) as proxy:
        env = away | {"HTTPS_PROXY": proxy.url}
        assert inspector("ls", "org/one", **env).stdout.splitlines()[1].startswith("1 adapter, ")
        assert len(proxy.asked) == 1
        same_as_on_disk(tmp_path / "one", **env)
        assert set(proxy.asked) == {("CONNECT", "hub.test:443")}
    gone = refused("ls", "org/other", **env)
    assert f"Cannot reach https://hub.test through the proxy {proxy.url} for org/other" in gone
    assert gone.endswith("check the connection and HTTPS_PROXY, or try again.")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("login", ["", f"me:{SECRET}"])
def test_plain_http(hub, here, monkeypatch, tmp_path, variable, login):
    """A Hub without TLS is asked for through the proxy, not tunnelled to."""
    point(monkeypatch, "http://hub.test")
    with HubServer() as plain, ProxyServer(plain.port, login=login) as proxy:
        plain.repos = hub.repos
        here(**{variable: proxy.url})
        if login:
            assert "wants a user and a password (407)" in failure("org/one")
        here(**{variable: with_login(proxy)})
        assert only("org/one").files[0].read_bytes() == hub.one.files[WEIGHTS]
        assert ("GET", f"http://hub.test/org/one/resolve/{hub.one.commit}/{WEIGHTS}") in proxy.asked


@pytest.mark.parametrize("listed", ["localhost", "example.org,localhost", "*"])
def test_hosts_that_need_no_proxy(hub, here, monkeypatch, listed):
    point(monkeypatch, hub.url)
    with ProxyServer(hub.port) as proxy:
        here(HTTPS_PROXY=proxy.url, ALL_PROXY=proxy.url, NO_PROXY=listed)
        only("org/one")
        assert "There is no org/none on the Hub" in failure("org/none")
        assert not proxy.asked


def test_a_proxy_that_wants_a_password(hub, away):
    with ProxyServer(hub.port, login=f"me:{SECRET}") as proxy:
        without = refused(**away, HTTPS_PROXY=proxy.url)
        assert f"the proxy {proxy.url} wants a user and a password (407). Write them into HTTPS_PROXY" in without
        assert inspector("ls", "org/one", **away, HTTPS_PROXY=with_login(proxy)).returncode == 0


@pytest.mark.parametrize("password", ["wrong", "hun%74er3"])
def test_a_password_that_is_wrong(hub, here, password):
    with ProxyServer(hub.port, login="me:other") as proxy:
        here(HTTPS_PROXY=with_login(proxy, password))
        message = failure("org/one")
        assert f"the proxy {proxy.url} does not take the user and password (407). Check them in HTTPS_PROXY." in message
        assert password not in message


def test_characters_of_a_password_that_are_escaped(hub, here):
    with ProxyServer(hub.port, login="me:p@ss/#1") as proxy:
        here(HTTPS_PROXY=with_login(proxy, "p%40ss%2F%231"))
        only("org/one")


def test_a_proxy_that_forbids(hub, here):
    with ProxyServer(hub.port, refuses="403 Forbidden") as proxy:
        here(HTTPS_PROXY=with_login(proxy))
        message = failure("org/one")
    assert f"the proxy {proxy.url} does not let it through (403 Forbidden). Ask who runs it" in message
    assert SECRET not in message


@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://127.0.0.1:9", f"http://me:{SECRET}@127.0.0.1:9"])
def test_a_proxy_that_is_not_there(here, address):
    here(HTTPS_PROXY=address)
    message = failure("org/one")
    assert "Cannot reach https://hub.test through the proxy http://127.0.0.1:9 for org/one" in message
    assert SECRET not in message


def test_a_proxy_that_speaks_no_tls(hub, here):
    """A common slip: the scheme of HTTPS_PROXY is that of the way to the proxy, not of what goes through it."""
    with ProxyServer(hub.port) as proxy:
        here(HTTPS_PROXY=proxy.url.replace("http:", "https:"))
        assert "Please check HTTPS_PROXY: the address of most proxies is http://" in failure("org/one")


def test_a_proxy_that_never_answers(hub, here, monkeypatch):
    from huggingface_hub import constants

    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 0.2)
    with ProxyServer(hub.port, silent=True) as proxy:
        here(HTTPS_PROXY=proxy.url)
        message = failure("org/one")
    assert f"https://hub.test through the proxy {proxy.url}" in message
    assert message.endswith("check the connection and HTTPS_PROXY, or try again.")


@pytest.mark.parametrize("reset", [False, True])
def test_a_tunnel_that_is_cut(hub, here, reset):
    """The rest comes through the next tunnel; what a reset leaves of the first is not certain."""
    with ProxyServer(hub.port, cuts=[400_000], reset=reset) as proxy:
        here(HTTPS_PROXY=proxy.url)
        assert only("org/one").files[0].read_bytes() == hub.one.files[WEIGHTS]
        assert len(proxy.asked) >= 2
    assert reset or hub.ranges in (["bytes=262144-"], ["bytes=393216-"])


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_socks(here, monkeypatch, variable):
    """httpx speaks it only with a package that is not a dependency; hidden here, should it be installed."""
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    here(**{variable: f"socks5://me:{SECRET}@127.0.0.1:9"})
    message = failure("org/one")
    assert f"{variable} is a SOCKS proxy, which needs the package socksio. Install it: pip install socksio." in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "address", ["socks://127.0.0.1:9", f"http://me:{SECRET}@a b:x", f"http://me:{SECRET}#@proxy:80", "ftp://127.0.0.1"]
)
def test_what_is_no_address_of_a_proxy(hub, away, address, here):
    here(ALL_PROXY=address)
    message = failure("org/one")
    assert (
        "ALL_PROXY is not an address of a proxy. Write http://host:port, or http://user:password@host:port." in message
    )
    assert SECRET not in message


def test_xet_goes_the_same_way(hub, away, here, monkeypatch):
    """hf_xet has an HTTP client of its own; where what it asks for is out of reach, plain HTTP may still do."""
    from huggingface_hub import constants

    hub.one.xet = "xet.test"
    with ProxyServer(hub.port) as proxy:
        done = inspector("analyze", "org/one", **away | {"HTTPS_PROXY": proxy.url, "HF_HUB_DISABLE_XET": "0"})
        assert (done.returncode, done.stdout) == (2, "")
        line = done.stderr.splitlines()[-1]
        assert ("CONNECT", "xet.test:443") in proxy.asked
        assert any(path.startswith("v2/reconstructions/") for _, path in hub.requests)
        assert "hf_xet cannot fetch org/one on the Hub: " in line
        assert line.endswith("Set HF_HUB_DISABLE_XET=1 to have it over plain HTTP.")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        here(HTTPS_PROXY=proxy.url)
        assert only("org/one").files[0].read_bytes() == hub.one.files[WEIGHTS]


def test_what_is_in_the_cache_needs_no_proxy(hub, here, tmp_path):
    with ProxyServer(hub.port) as proxy:
        here(HTTPS_PROXY=proxy.url)
        fetched = only("org/one").info
    for wrong in (proxy.url, "socks://nowhere", "socks5://127.0.0.1:9"):
        here(HTTPS_PROXY=wrong)
        assert only("org/one").info == fetched
    here(HTTPS_PROXY="", SSL_CERT_FILE=str(tmp_path / "none"))
    assert only("org/one").info == fetched
