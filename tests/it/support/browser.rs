//! A browser without a screen: one cookie jar is one person. It follows redirects and presses the
//! first button of the first form, as a user who agrees to everything does.

use std::collections::BTreeMap;

use url::Url;

use super::http::{Http, Reply};

/// One cookie jar.
#[derive(Clone)]
pub struct Browser {
    http: Http,
    cookies: BTreeMap<(String, String), String>,
    pub username: String,
    pub password: String,
}

/// Where a browser ended up.
#[derive(Debug)]
pub struct Landing {
    pub url: Url,
    /// None when the URL was the one to stop at, which is not fetched.
    pub reply: Option<Reply>,
}

/// A form of a page: where it goes, and all its named values.
#[derive(Debug, Default)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Browser {
    pub fn new(user: &str) -> Self {
        Self { http: Http::new(), cookies: BTreeMap::new(), username: user.to_owned(), password: user.to_owned() }
    }

    /// The names of the cookies kept for a host (with its port).
    pub fn cookie_names(&self, url: &str) -> Vec<String> {
        let host = host_of(&Url::parse(url).unwrap());
        self.cookies.keys().filter(|(of, _)| *of == host).map(|(_, name)| name.clone()).collect()
    }

    /// Presets a cookie.
    pub fn set_cookie(&mut self, url: &str, name: &str, value: &str) {
        self.cookies.insert((host_of(&Url::parse(url).unwrap()), name.to_owned()), value.to_owned());
    }

    pub async fn get(&mut self, url: &str) -> Reply {
        self.send("GET", url, None).await
    }

    /// Posts a form as one of the page's own.
    pub async fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Reply {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send("POST", url, Some(&fields)).await
    }

    /// Opens a URL and agrees to everything until `stop` or a page without a form.
    pub async fn follow(&mut self, url: &str, stop: impl Fn(&Url) -> bool) -> Landing {
        let mut url = Url::parse(url).unwrap();
        let mut reply = None;
        for _ in 0..25 {
            if stop(&url) {
                return Landing { url, reply: None };
            }
            let answer = match reply.take() {
                Some(answer) => answer,
                None => self.get(url.as_str()).await,
            };
            if (300..400).contains(&answer.status) {
                url = url.join(answer.header("location").unwrap()).unwrap();
                continue;
            }
            let Some(form) = first_form(&answer.text()).filter(|_| answer.status < 400) else {
                return Landing { url, reply: Some(answer) };
            };
            let target = if form.action.is_empty() { url.clone() } else { url.join(&form.action).unwrap() };
            let filled: Vec<(String, String)> = form.fields.into_iter().map(|field| self.fill(field)).collect();
            let posted = self.send("POST", target.as_str(), Some(&filled)).await;
            url = target;
            if (300..400).contains(&posted.status) {
                url = url.join(posted.header("location").unwrap()).unwrap();
            } else {
                reply = Some(posted);
            }
        }
        panic!("too many steps, last {url}");
    }

    fn fill(&self, (name, value): (String, String)) -> (String, String) {
        match name.as_str() {
            "password" => (name, self.password.clone()),
            "username" | "login" | "email" => (name, self.username.clone()),
            _ => (name, value),
        }
    }

    async fn send(&mut self, method: &str, url: &str, form: Option<&[(String, String)]>) -> Reply {
        let parsed = Url::parse(url).unwrap();
        let host = host_of(&parsed);
        let jar: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == host)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let jar = jar.join("; ");
        let mut headers = vec![("accept", "text/html")];
        if !jar.is_empty() {
            headers.push(("cookie", &jar));
        }
        let origin = parsed.origin().ascii_serialization();
        let mut body = String::new();
        if let Some(fields) = form {
            body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            // What Chromium sends from a page without a referrer.
            headers.push(("content-type", "application/x-www-form-urlencoded"));
            headers.push(("sec-fetch-site", "same-origin"));
            headers.push(("origin", &origin));
            headers.push(("referer", url));
        }
        let reply = self.http.send(method, url, &headers, body).await;
        for cookie in reply.headers.get_all("set-cookie") {
            self.keep(&host, cookie.to_str().unwrap());
        }
        reply
    }

    fn keep(&mut self, host: &str, cookie: &str) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        let key = (host.to_owned(), name.trim().to_owned());
        if value.is_empty() || cookie.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

fn host_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap())
}

/// The first form of a page that posts, with its first named button pressed.
pub fn first_form(html: &str) -> Option<Form> {
    let form = html
        .split("<form")
        .skip(1)
        .find(|form| form.split('>').next().unwrap().to_ascii_lowercase().contains("post"))?;
    let form = form.split("</form").next()?;
    let mut found =
        Form { action: attribute(form.split('>').next()?, "action").unwrap_or_default(), fields: Vec::new() };
    for tag in form.split("<input").skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let kind = attribute(tag, "type").unwrap_or_default();
        if let Some(name) = attribute(tag, "name").filter(|_| kind != "submit") {
            found.fields.push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    let tags = |name: &'static str| form.split(name).skip(1).map(|tag| tag.split('>').next().unwrap());
    let mut buttons = tags("<button").chain(tags("<input").filter(|tag| tag.contains("submit")));
    let named =
        buttons.find_map(|tag| attribute(tag, "name").map(|name| (name, attribute(tag, "value").unwrap_or_default())));
    found.fields.extend(named);
    Some(found)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&amp;", "&")
            .replace("&#x2f;", "/")
            .replace("&#x3d;", "=")
            .replace("&quot;", "\"")
            .replace("&#x27;", "'"),
    )
}
