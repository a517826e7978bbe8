"""Writes vectors.json: requests that Python's oauthlib has signed, which the tests sign again.

    python make.py > vectors.json.new && mv vectors.json.new vectors.json

Needs oauthlib, PyJWT and cryptography. The same input comes out the same; the RSA key is the one that
vectors.json already holds, or a new one when there is none.
"""

import json
import os
import random
import sys
from urllib.parse import quote, quote_plus, urlparse

from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849 import signature

HERE = os.path.dirname(os.path.abspath(__file__))
METHODS = ("HMAC-SHA1", "HMAC-SHA256", "RSA-SHA256", "PLAINTEXT")
ODD = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~0aZ\u00e4\u20ac\U0001f511\n"

# Name, HTTP method, URL, form body: what is easily got wrong in a base string.
REQUESTS = [
    ("no parameters", "GET", "https://api.example/v1/me", None),
    ("no path", "GET", "https://api.example", None),
    ("no path, a query", "GET", "https://api.example?a=1", None),
    ("upper-case scheme and host", "GET", "HTTPS://API.Example/Me?B=1&a=1", None),
    ("default port of https", "GET", "https://api.example:443/", None),
    ("default port of http", "GET", "http://127.0.0.1:80/", None),
    ("http's port over https", "GET", "https://api.example:80/", None),
    ("https' port over http", "GET", "http://127.0.0.1:443/", None),
    ("another port", "GET", "https://api.example:8443/x", None),
    ("an IPv6 host", "GET", "http://[::1]:8080/x?y=z", None),
    ("a path with encoded characters", "GET", "https://api.example/a%20b/%C3%BC/~x;v=1/@:!$'()*+,=", None),
    ("a path with a space", "GET", "https://api.example/a b/c", None),
    ("a trailing slash", "GET", "https://api.example/v1/", None),
    ("a plus and a space", "GET", "https://api.example/?q=a+b&r=a%20b&s=a%2Bb", None),
    ("lower-case digits", "GET", "https://api.example/?q=%c3%a4%2f", None),
    ("needlessly encoded", "GET", "https://api.example/?%61=%7E%2D%2E%5F%30", None),
    ("duplicate names", "GET", "https://api.example/?a=2&a=1&a=10&a=", None),
    ("duplicate pairs", "GET", "https://api.example/?a=1&a=1", None),
    ("order of encoded bytes", "GET", "https://api.example/?a=%7E&a=%20&a=z&a=-&a=%C3%A4&a=A&a=_&a=%25", None),
    ("names that begin alike", "GET", "https://api.example/?ab=1&a=2&a%20=3&a%2D=4&a%3D=5&A=6", None),
    ("no values", "GET", "https://api.example/?a&b=&c&=d", None),
    ("several equals signs", "GET", "https://api.example/?a=b=c==&d==", None),
    ("empty pieces", "GET", "https://api.example/?&&a=1&&b=2&", None),
    ("an empty query", "GET", "https://api.example/?", None),
    ("a URL as a value", "GET", "https://api.example/?u=https%3A%2F%2Fx.example%2F%3Fa%3D1%26b%3D2", None),
    ("encoded twice", "GET", "https://api.example/?a=%2520&b=%253D", None),
    ("reserved characters as they are", "GET", "https://api.example/?a=(1)*!,;:@/?$", None),
    ("around the protocol's names", "GET", "https://api.example/?oauth=1&oauth_a=2&oauth_z=3&p=4&n=5", None),
    ("other methods", "DELETE", "https://api.example/v1/things/7?force=true", None),
    ("a method of their own", "PROPFIND", "https://api.example/dav/?depth=1", None),
    ("a form", "POST", "https://api.example/v1/things", "status=Hello%20Ladies%20%2b%20Gentlemen%2c+a+signed+request%21"),
    ("an empty form", "POST", "https://api.example/v1/things", ""),
    ("query and form", "POST", "https://api.example/v1/things?b=2&a=3", "a=1&c=4&b"),
    ("the same in both", "PUT", "https://api.example/v1/things?a=1", "a=1&a=1"),
    ("a form of odd characters", "POST", "https://api.example/", quote_plus(ODD) + "=" + quote_plus(ODD)),
    ("a form in many scripts", "PATCH", "https://api.example/", "%E2%82%AC=%F0%9F%94%91&%D7%90=%E4%B8%AD"),
]


def rsa_key():
    try:
        with open(os.path.join(HERE, "vectors.json")) as file:
            return json.load(file)["rsa_private_key"]
    except FileNotFoundError:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


def random_request(chance):
    """A request with a handful of parameters in its query and its form, encoded in either fashion."""

    def text(longest):
        return "".join(chance.choice(ODD) for _ in range(chance.randint(0, longest)))

    def pairs():
        names = [text(3) or "n" for _ in range(chance.randint(0, 3))]
        chosen = [(chance.choice(names), text(6)) for _ in range(chance.randint(0, 5))] if names else []
        return "&".join(f"{e(n)}={e(v)}" for n, v in chosen for e in [chance.choice((quote, quote_plus))])

    host = chance.choice(["api.example", "a-b.api.example", "127.0.0.1", "[2001:db8::1]"])
    port = chance.choice(["", ":1", ":443", ":8080", ":65535"])
    path = "/".join(quote(text(4), safe="~!$'()*+,=@:") or "x" for _ in range(chance.randint(1, 3)))
    path = path.replace("..", "--")
    query = pairs()
    url = f"https://{host}{port}/{path}" + ("?" + query if query else "")
    method = chance.choice(["GET", "POST", "PUT"])
    return method, url, pairs() if method != "GET" and chance.random() < 0.7 else None


def sign(name, number, request, chance, key):
    method, url, form = request
    signature_method = METHODS[number % len(METHODS)]
    secret = lambda: "".join(chance.choice(ODD[:-4] + "abc123") for _ in range(12)).replace("\n", "x")
    keys = {
        "client_id": f"client {number} +/=&%" if number % 3 else "dpf43f3p2l4k3l03",
        "client_secret": secret(),
        "token": f"tok+/={number}~\u00e4" if number % 5 else None,
        "token_secret": secret() if number % 5 else None,
        "callback": "https://sw.example/cb?flow=1&x=%20" if number % 5 == 0 else None,
        "verifier": "v+/%= 1" if number % 7 == 1 else None,
        "realm": "https://api.example/ (photos, 1)" if number % 4 == 1 else None,
        "timestamp": 1700000000 + number,
        "nonce": f"nonce{number}" if number % 2 else f"n~+/ {number}",
    }
    client = Client(
        keys["client_id"], keys["client_secret"], keys["token"], keys["token_secret"], keys["callback"],
        signature_method=signature_method, rsa_key=key, verifier=keys["verifier"], realm=keys["realm"],
        nonce=keys["nonce"], timestamp=str(keys["timestamp"]),
    )
    headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
    _, signed, _ = client.sign(url, method, form, headers)
    parameters = signature.collect_parameters(urlparse(url).query, form or "", signed)
    base_string = signature.signature_base_string(
        method, signature.base_string_uri(url), signature.normalize_parameters(parameters)
    )
    request = {"name": name, "method": method, "url": url, "form": form}
    answer = {"base_string": base_string, "authorization": signed["Authorization"]}
    return {**request, "signature_method": signature_method, **keys, **answer}


def main():
    chance, key = random.Random(5849), rsa_key()
    requests = [(name, request) for name, *request in REQUESTS]
    requests += [(f"random {i}", random_request(chance)) for i in range(44)]
    # Every method of signing meets the plain requests too, whatever their number.
    requests += [(f"{REQUESTS[i][0]}, again", REQUESTS[i][1:]) for i in (18, 19, 32)]
    vectors = [sign(name, number, request, chance, key) for number, (name, request) in enumerate(requests)]
    json.dump({"rsa_private_key": key, "vectors": vectors}, sys.stdout, indent=1)
    print()


main()
