"""OAuth 1.0a (RFC 5849) on the server side of oauthlib, as a test upstream: it checks signatures, timestamps, nonces,
callbacks and verifiers, and its tokens and keys are full of characters that must be encoded. State is in memory.
Options, ready line and control paths are those of the other providers, and some more: see README.md."""

import html
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, urlsplit

from front import Front, answer_json, common_options, extends_by_a_segment, headers, listen, quit_with_parent, serve
from oauthlib.common import add_params_to_uri, generate_token
from oauthlib.oauth1 import OAuth1Error, RequestValidator, WebApplicationServer

MAIN_CLIENT = ("test-consumer", "test-consumer-secret-0123456789abcdef0123456789")
ODD_CLIENT = ("test:consumer+odd%20key&=", "se:cr+et%/=& ~0123456789abcdef0123456789")
CLIENTS = dict((MAIN_CLIENT, ODD_CLIENT))
SIGNATURE_METHODS = ("HMAC-SHA1", "HMAC-SHA256", "RSA-SHA256", "PLAINTEXT")
USERS = ("alice", "bob")
REQUEST_PATH, AUTHORIZE_PATH, ACCESS_PATH = "/oauth/request_token", "/oauth/authorize", "/oauth/access_token"
FORM = "application/x-www-form-urlencoded"
# How far a request's clock may be off, in seconds.
TOLERANCE = 300


def read_options():
    parser = common_options(__doc__)
    parser.add_argument("--request-ttl", type=int, default=300, help="seconds for which a request token lives")
    parser.add_argument("--signature-method", action="append", choices=SIGNATURE_METHODS)
    parser.add_argument("--callback-confirmed", default="true", help="what the answer says; empty: nothing")
    return parser.parse_args()


def rsa_key_pair():
    """A new private key and its public key, in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass
class RequestToken:
    """Temporary credentials; with a verifier once a user has authorized them."""

    client: str
    secret: str
    callback: str
    ends: float
    user: str = ""
    verifier: str = ""


@dataclass
class State:
    """All that the provider remembers. `lock` is held while a request is decided."""

    redirect_uris: list
    redirect_uri_prefixes: list
    requests: dict = field(default_factory=dict)  # request token → RequestToken
    tokens: dict = field(default_factory=dict)  # access token → (client, secret, user)
    used: set = field(default_factory=set)  # (client, token, timestamp, nonce)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def living(self, token, client=None):
        """The request token, unless it is used, too old, or another client's."""
        request = self.requests.get(token)
        good = request and time.time() < request.ends and client in (None, request.client)
        return request if good else None

    def allows(self, callback):
        """Registered callbacks are compared without their query, which is the client's to choose."""
        plain = callback.split("?")[0]
        registered = plain in self.redirect_uris or extends_by_a_segment(plain, self.redirect_uri_prefixes)
        return callback == "oob" or registered

    def add_redirect_uris(self, added):
        self.redirect_uris += [uri for uri in added if uri not in self.redirect_uris]
        return self.redirect_uris


class Validator(RequestValidator):
    """What oauthlib asks of a provider."""

    enforce_ssl = False
    # oauthlib answers 400 to an old timestamp; here `validate_timestamp_and_nonce` does, with 401.
    timestamp_lifetime = float("inf")
    dummy_client = dummy_request_token = dummy_access_token = "nobody"

    def __init__(self, state, options, public_key):
        super().__init__()
        self.state, self.options, self.public_key = state, options, public_key

    allowed_signature_methods = property(lambda self: self.options.signature_method or SIGNATURE_METHODS)

    # Keys and tokens of any look; unknown ones are found out later.
    def check_client_key(self, client_key):
        return True

    def check_request_token(self, request_token):
        return True

    def check_access_token(self, access_token):
        return True

    def check_nonce(self, nonce):
        return len(nonce) >= 8

    def check_verifier(self, verifier):
        return True

    def check_realms(self, realms):
        return True

    def get_client_secret(self, client_key, request):
        return CLIENTS.get(client_key, "nothing")

    def get_rsa_key(self, client_key, request):
        return self.public_key

    def get_request_token_secret(self, client_key, token, request):
        found = self.state.living(token, client_key)
        return found.secret if found else "nothing"

    def get_access_token_secret(self, client_key, token, request):
        return self.state.tokens.get(token, (None, "nothing", None))[1]

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def get_redirect_uri(self, token, request):
        return self.state.requests[token].callback

    def validate_client_key(self, client_key, request):
        return client_key in CLIENTS

    def validate_request_token(self, client_key, token, request):
        return self.state.living(token, client_key) is not None

    def validate_access_token(self, client_key, token, request):
        return self.state.tokens.get(token, (None,))[0] == client_key

    def validate_timestamp_and_nonce(
        self, client_key, timestamp, nonce, request, request_token=None, access_token=None
    ):
        once = (client_key, request_token or access_token, timestamp, nonce)
        if once in self.state.used or abs(time.time() - int(timestamp)) > TOLERANCE:
            return False
        self.state.used.add(once)
        return True

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return self.state.allows(redirect_uri)

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def validate_verifier(self, client_key, token, verifier, request):
        found = self.state.living(token, client_key)
        return bool(found and found.verifier) and found.verifier == verifier

    def verify_request_token(self, token, request):
        return self.state.living(token) is not None

    def verify_realms(self, token, realms, request):
        return True

    def save_request_token(self, token, request):
        self.state.requests[token["oauth_token"]] = RequestToken(
            client=request.client_key,
            secret=token["oauth_token_secret"],
            callback=request.redirect_uri,
            ends=time.time() + self.options.request_ttl,
        )

    def save_verifier(self, token, verifier, request):
        self.state.requests[token].verifier = verifier["oauth_verifier"]

    def save_access_token(self, token, request):
        user = self.state.requests[request.resource_owner_key].user
        self.state.tokens[token["oauth_token"]] = (request.client_key, token["oauth_token_secret"], user)

    def invalidate_request_token(self, client_key, request_token, request):
        del self.state.requests[request_token]


class Server(WebApplicationServer):
    """oauthlib's endpoints, with tokens that must be encoded wherever they are sent."""

    def __init__(self, validator, confirmed):
        super().__init__(validator)
        self.confirmed = confirmed
        self.token_generator = lambda: generate_token() + "-._~+/=&"

    def create_request_token(self, request, credentials):
        answer = super().create_request_token(request, {"oauth_callback_confirmed": self.confirmed})
        return answer if self.confirmed else answer.replace("&oauth_callback_confirmed=", "")

    def create_access_token(self, request, credentials):
        user = self.request_validator.state.requests[request.resource_owner_key].user
        return super().create_access_token(request, {"user_id": f"id-of-{user}", "screen_name": user})


class Provider:
    """The WSGI application."""

    def __init__(self, options, origin, state, public_key):
        self.options, self.origin, self.state = options, origin, state
        self.server = Server(Validator(state, options, public_key), options.callback_confirmed)

    def __call__(self, environ, start_response):
        # The target as it was sent: a server that decodes and encodes it again computes another signature.
        target = environ["REQUEST_URI"]
        body = environ["wsgi.input"].read().decode("latin-1")
        method = environ["REQUEST_METHOD"]
        signed = (self.origin + target, method, body, headers(environ))
        path = environ["PATH_INFO"]
        try:
            with self.state.lock:
                if path in (REQUEST_PATH, ACCESS_PATH) and method == "POST":
                    ask = self.server.create_request_token_response
                    exchange = self.server.create_access_token_response
                    return send(start_response, *(ask if path == REQUEST_PATH else exchange)(*signed))
                if path == AUTHORIZE_PATH:
                    return self.authorize(method, target, body, start_response)
                if path == "/_control/tokens" and method == "DELETE":
                    self.state.tokens.clear()
                    return answer_json(start_response, {})
                if path.startswith("/api/"):
                    return self.resource(signed, start_response)
        except OAuth1Error as error:
            return send(start_response, {"Content-Type": FORM}, error.urlencoded, error.status_code)
        except ValueError as error:
            # What oauthlib cannot read as a form or as a header.
            return answer_json(start_response, {"error": str(error)}, "400 Bad Request")
        return answer_json(start_response, {"error": "not_found"}, "404 Not Found")

    def authorize(self, method, target, body, start_response):
        query = parse_qs(urlsplit(target).query)
        token = query.get("oauth_token", [""])[0]
        if not self.state.living(token):
            return send(start_response, {}, "unknown request token", 400)
        if not self.options.form_login:
            # There is no page, so the client's URL may say what the user does.
            return self.decide(token, self.options.login, query.get("decision", ["allow"])[0], start_response)
        given = {name: values[0] for name, values in parse_qs(body).items()}
        user = given.get("username", "")
        if method == "POST" and user in USERS and given.get("password") == user:
            return self.decide(token, user, given.get("decision", "allow"), start_response)
        page = PAGE.format(client=html.escape(self.state.requests[token].client))
        return send(start_response, {"Content-Type": "text/html"}, page, 401 if method == "POST" else 200)

    def decide(self, token, user, decision, start_response):
        if decision == "allow":
            self.state.requests[token].user = user
            uri = add_params_to_uri(self.origin + AUTHORIZE_PATH, [("oauth_token", token)])
            return send(start_response, *self.server.create_authorization_response(uri))
        # There are two customs.
        refusal = {"denied": token} if decision == "deny" else {"oauth_token": token, "oauth_problem": "user_refused"}
        callback = self.state.requests.pop(token).callback
        return send(start_response, {"Location": add_params_to_uri(callback, refusal.items())}, None, 302)

    def resource(self, signed, start_response):
        good, request = self.server.validate_protected_resource_request(*signed, realms=[])
        if not good:
            challenge = [("WWW-Authenticate", 'OAuth realm="test"')]
            return answer_json(start_response, {"error": "invalid_signature_or_token"}, "401 Unauthorized", challenge)
        uri, method, body, sent = signed
        is_form = sent.get("content-type", "").startswith(FORM)
        about = {
            "sub": self.state.tokens[request.resource_owner_key][2],
            "method": method,
            "signature_method": request.signature_method,
            "query": parse_qsl(urlsplit(uri).query, keep_blank_values=True),
            "form": parse_qsl(body, keep_blank_values=True) if is_form else [],
        }
        return answer_json(start_response, about)


PAGE = """<!doctype html><html lang="en"><title>Allow access?</title><link rel="icon" href="data:,">
<h1>Allow {client} access?</h1><form method="post">
<label>User name <input name="username"></label><label>Password <input name="password" type="password"></label>
<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>
<button name="decision" value="problem">Deny, and report a problem</button></form></html>"""
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized"}


def send(start_response, named, body, status):
    """An answer as oauthlib states it."""
    data = (body or "").encode()
    start_response(f"{status} {REASONS[status]}", [*named.items(), ("Content-Length", str(len(data)))])
    return [data]


def ready_line(options, origin, private_key):
    clients = [{"client_id": key, "client_secret": secret} for key, secret in CLIENTS.items()]
    return {
        "name": "oauthlib",
        "request_token_endpoint": origin + REQUEST_PATH,
        "authorization_endpoint": origin + AUTHORIZE_PATH,
        "access_token_endpoint": origin + ACCESS_PATH,
        "resource": origin + "/api/me",
        **clients[0],
        "clients": clients,
        "rsa_private_key": private_key,
        "signature_methods": options.signature_method or SIGNATURE_METHODS,
        "username": options.login,
        "password": options.login,
    }


def main():
    options = read_options()
    quit_with_parent()
    listener, origin = listen(options)
    state = State(options.redirect_uri, options.redirect_uri_prefix)
    private_key, public_key = rsa_key_pair()
    front = Front(Provider(options, origin, state, public_key), ACCESS_PATH, state.add_redirect_uris)
    serve(listener, front, ready_line(options, origin, private_key))


if __name__ == "__main__":
    main()
