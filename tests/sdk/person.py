"""A person with a browser that shows nothing: one cookie jar, and agreement to every form."""

from html.parser import HTMLParser
from http.client import HTTPConnection
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit


class Forms(HTMLParser):
    """The first form of a page that posts, with its first named button pressed; and where the page links to."""

    def __init__(self):
        super().__init__()
        self.action, self.fields, self.open, self.pressed = None, [], False, False
        self.links = []

    def handle_starttag(self, tag, attributes):
        it = {name: value or "" for name, value in attributes}
        if tag == "a":
            self.links.append(it.get("href", ""))
        elif tag == "form" and self.action is None and it.get("method", "").lower() == "post":
            self.action, self.open = it.get("action", ""), True
        elif self.open and tag == "input" and it.get("type") != "submit" and "name" in it:
            self.fields.append((it["name"], it.get("value", "")))
        elif self.open and tag in ("button", "input") and "name" in it and not self.pressed:
            self.fields.append((it["name"], it.get("value", "")))
            self.pressed = True

    def handle_endtag(self, tag):
        self.open = self.open and tag != "form"


class Person:
    """Signs in at the sandbox as `user`; types `entries` into other forms."""

    def __init__(self, user="alice", **entries):
        self.typed = {"username": user, "login": user, "password": user, **entries}
        self.cookies = {}

    def follow(self, url):
        """Opens a URL and agrees to everything; the last page's URL."""
        status, location, page = self.send("GET", url)
        for _ in range(25):
            if 300 <= status < 400:
                url = urljoin(url, location)
                # Where an application waits; no server listens there.
                if urlsplit(url).hostname == "app.example":
                    return url
                status, location, page = self.send("GET", url)
                continue
            form = Forms()
            form.feed(page)
            if status >= 400 or form.action is None:
                assert status < 400, f"{url} answered {status}: {page[:300]}"
                # The page that names the application before its user goes there leads to it.
                is_way_back = urlsplit(url).path == "/link/return"
                return next((it for it in form.links if is_way_back and it.startswith("https://app.example")), url)
            url = urljoin(url, form.action) if form.action else url
            fields = [(name, self.typed.get(name, value)) for name, value in form.fields]
            status, location, page = self.send("POST", url, fields)
        raise AssertionError(f"too many steps, last {url}")

    def refuse(self, url):
        """Says no on the connect page."""
        self.send("GET", url)
        status, _, page = self.send("POST", url.split("?")[0] + "/reject", [])
        assert status < 400, f"{status}: {page[:300]}"

    def send(self, method, url, fields=None):
        it = urlsplit(url)
        path = (it.path or "/") + (f"?{it.query}" if it.query else "")
        headers = {"accept": "text/html"}
        jar = "; ".join(f"{name}={value}" for (host, name), value in self.cookies.items() if host == it.netloc)
        if jar:
            headers["cookie"] = jar
        body = None
        if fields is not None:
            body = urlencode(fields)
            headers |= {
                "content-type": "application/x-www-form-urlencoded",
                "sec-fetch-site": "same-origin",
                "origin": f"{it.scheme}://{it.netloc}",
                "referer": url,
            }
        connection = HTTPConnection(it.netloc, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("set-cookie") or []:
                name, value = cookie.split(";")[0].split("=", 1)
                if not value or "max-age=0" in cookie.lower():
                    self.cookies.pop((it.netloc, name.strip()), None)
                else:
                    self.cookies[(it.netloc, name.strip())] = value
            return answer.status, answer.headers.get("location"), answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


def query(url):
    """The query of a URL."""
    return dict(parse_qsl(urlsplit(url).query))
