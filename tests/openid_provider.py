"""An OpenID provider on loopback that keeps to OpenID Connect Core 1.0 and RFC 7636, and can be told to misbehave.

It refuses what a strict provider refuses: an unknown client or redirect URI, a request without PKCE or nonce, a wrong
secret or verifier, a code used twice. Keys and signatures are joserfc's.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET = "triage-desk", "a client secret: with a colon & more"
REDIRECT = "http://127.0.0.1:8000/sign-in/openid/done/"
Claims = dict[str, Any]


@lru_cache(maxsize=2)
def rsa_key(name: str) -> RSAKey:
    """A key pair, made once: it takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


@dataclass
class Provider:
    """What it answers; tests change the fields before they sign in."""

    issuer: str = ""
    person: Claims = field(default_factory=dict)
    userinfo: Claims | None = None
    spoil: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    answer: Callable[[Claims], Claims] = lambda answer: answer
    metadata: Claims = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    codes: dict[str, Claims] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def configuration(self) -> Claims:
        """The discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo is not None else {}),
            **self.metadata,
        }

    def authorize(self, query: str) -> str:
        """Where the browser goes back to; the person is signed in there already."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        must = {"client_id": CLIENT, "redirect_uri": REDIRECT, "response_type": "code", "code_challenge_method": "S256"}
        wrong = [name for name, value in must.items() if asked.get(name) != value]
        wrong += [name for name in ("state", "nonce", "code_challenge") if len(asked.get(name, "")) < 16]
        wrong += [] if "openid" in asked.get("scope", "").split() else ["scope"]
        if wrong:
            self.refused.append(f"authorize: {wrong}")
            raise ValueError(wrong)
        code = secrets.token_urlsafe(16)
        self.codes[code] = {**asked, "until": time.time() + 60}
        return f"{REDIRECT}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, body: str, authorization: str) -> Claims:
        """The answer of the token endpoint; ValueError with an OAuth error."""
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {basic}":
            raise ValueError("invalid_client")
        asked = self.codes.pop(sent.get("code", ""), None)
        made = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(made).decode().rstrip("=")
        if asked is None or asked["until"] < time.time() or challenge != asked["code_challenge"]:
            raise ValueError("invalid_grant")
        if sent.get("redirect_uri") != REDIRECT or sent.get("grant_type") != "authorization_code":
            raise ValueError("invalid_request")
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "sub": "subject-1",
            **self.person,
        }
        signed = (self.sign or by_its_key)(self.spoil(claims))
        return self.answer({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": signed})


def by_its_key(claims: Claims) -> str:
    """As it should be."""
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, rsa_key("one"))


def by_another_key(claims: Claims) -> str:
    """A signature by somebody who only knows the name of the key."""
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, rsa_key("other"))


def by_nobody(claims: Claims) -> str:
    """RFC 7519's `none`."""
    parts = (json.dumps({"alg": "none", "kid": "one"}), json.dumps(claims))
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts) + "."


def by_our_secret(claims: Claims) -> str:
    """HS256 with what the client knows, which proves nothing about the provider."""
    return jwt.encode({"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(SECRET))


def by_the_public_key(claims: Claims) -> str:
    """The old trick: the provider's public key as the secret of an HMAC."""
    header, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "kid": "one"}, claims)
    )
    import hmac

    mac = hmac.digest(rsa_key("one").as_pem(private=False), f"{header}.{body}".encode(), "sha256")
    return f"{header}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        self.provider.served.append(path.path)
        if path.path == "/authorize":
            self._authorize(path.query)
            return
        pages: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": self.provider.configuration,
            "/keys": lambda: KeySet([rsa_key("one")]).as_dict(private=False),
            "/userinfo": lambda: self.provider.userinfo,
        }
        page = pages.get(path.path)
        self._say(page() if page else {}, 200 if page else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            self._say(self.provider.token(body, self.headers.get("Authorization", "")), 200)
        except ValueError as error:
            self.provider.refused.append(f"token: {error}")
            self._say({"error": str(error)}, 400)

    def _authorize(self, query: str) -> None:
        try:
            back = self.provider.authorize(query)
        except ValueError as error:
            self._say({"error": str(error)}, 400)
            return
        self.send_response(302)
        self.send_header("Location", back)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say(self, what: Any, status: int) -> None:
        content = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider over HTTP on a free port of loopback."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": provider}))
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
