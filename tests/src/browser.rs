//! A browser without a screen: cookies, redirects and forms of pages that need
//! no JavaScript. It holds forms to the `form-action` of their page as
//! Chromium does, redirects included.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::http::Endpoint;

/// More redirects than any real sign-in has.
const REDIRECTS: usize = 20;

#[derive(Debug)]
pub struct Browser {
    client: Endpoint,
    /// By host and port, then by name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// URLs that begin so are not opened: whoever drives the browser takes them.
    stop_at: Vec<String>,
}

/// What the browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// Where the browser was sent and did not go: another program's address.
    pub left_for: Option<String>,
}

/// A form of a page, filled in as the page gives it.
#[derive(Debug, Clone)]
pub struct Form {
    page: Url,
    action: Url,
    method: Method,
    /// `form-action` of the page's policy.
    targets: Option<Vec<String>>,
    fields: Vec<(String, String)>,
    buttons: Vec<(String, String)>,
}

/// A request of the browser that has not been sent.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    pub fn new() -> Self {
        Self { client: Endpoint::new("http://127.0.0.1/"), cookies: BTreeMap::new(), stop_at: Vec::new() }
    }

    /// Leaves URLs that begin with `start` to whoever drives the browser.
    #[must_use]
    pub fn stopping_at(mut self, start: &str) -> Self {
        self.stop_at.push(start.to_owned());
        self
    }

    /// Opens a URL as if it had been typed, and follows redirects.
    pub async fn open(&mut self, url: &str) -> Result<Page> {
        let url = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        self.follow(Method::GET, url, String::new(), None, None).await
    }

    /// What pressing the button of `form` sends, as [`submit`](Self::submit).
    pub fn prepare(&self, form: &Form, button: &str) -> Result<Prepared> {
        let mut fields = form.fields.clone();
        fields.extend(form.buttons.iter().find(|(name, value)| name == button || value == button).cloned());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let own = |name: &str, value: String| (name.to_owned(), value);
        let headers = vec![
            own("content-type", "application/x-www-form-urlencoded".to_owned()),
            own("cookie", self.cookie_header(&form.action)),
            own("origin", form.page.origin().ascii_serialization()),
            own("sec-fetch-site", "same-origin".to_owned()),
        ];
        Ok(Prepared { method: form.method.clone(), url: form.action.clone(), headers, body })
    }

    /// Sends what was prepared of a form, and follows redirects.
    pub async fn follow_up(&mut self, prepared: Prepared) -> Result<Page> {
        let from = prepared.url.clone();
        self.follow(prepared.method, prepared.url, prepared.body, Some(&from), None).await
    }

    /// Presses the button of `form` whose value or name is `button`; the only
    /// one when it is empty.
    pub async fn submit(&mut self, form: &Form, button: &str) -> Result<Page> {
        let mut fields = form.fields.clone();
        if let Some(pressed) = form.buttons.iter().find(|(name, value)| name == button || value == button) {
            fields.push(pressed.clone());
        } else {
            ensure!(button.is_empty(), "there is no button {button:?} in {form:?}");
        }
        ensure!(form.allows(&form.action), "the page does not let its form go to {}", form.action);
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        if form.method == Method::GET {
            let mut url = form.action.clone();
            url.set_query(Some(&encoded));
            return self.follow(Method::GET, url, String::new(), Some(&form.page), Some(form)).await;
        }
        self.follow(Method::POST, form.action.clone(), encoded, Some(&form.page), Some(form)).await
    }

    /// The cookies for `url`, as the browser would send them.
    pub fn cookie_header(&self, url: &Url) -> String {
        let pairs = self.cookies.get(&jar(url)).into_iter().flatten();
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn follow(
        &mut self,
        mut method: Method,
        mut url: Url,
        mut body: String,
        from: Option<&Url>,
        mut form: Option<&Form>,
    ) -> Result<Page> {
        for _ in 0..REDIRECTS {
            if url.scheme() != "http" || self.stop_at.iter().any(|start| url.as_str().starts_with(start)) {
                let left_for = Some(url.to_string());
                return Ok(Page {
                    url,
                    status: StatusCode::OK,
                    headers: HeaderMap::new(),
                    body: String::new(),
                    left_for,
                });
            }
            let page = self.exchange(&method, &url, &body, from).await?;
            let location = page.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| page.status.is_redirection()) else {
                let Some(refreshed) = page.refresh()? else { return Ok(page) };
                (method, url, form) = (Method::GET, refreshed, None);
                body.clear();
                continue;
            };
            let next = url.join(location).with_context(|| format!("{url} leads to {location:?}"))?;
            if let Some(form) = form {
                ensure!(form.allows(&next), "the page at {} does not let its form lead to {next}", form.page);
            }
            if page.status != StatusCode::TEMPORARY_REDIRECT && page.status != StatusCode::PERMANENT_REDIRECT
            {
                method = Method::GET;
                body.clear();
            }
            url = next;
        }
        bail!("more than {REDIRECTS} redirects, the last to {url}")
    }

    async fn exchange(&mut self, method: &Method, url: &Url, body: &str, from: Option<&Url>) -> Result<Page> {
        let mut address = url.clone();
        address.set_fragment(None);
        let endpoint = self.client.at(address.as_str());
        let cookies = self.cookie_header(url);
        let mut headers = vec![("accept", "text/html"), ("user-agent", "Mozilla/5.0 (tests)")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let origin = from.map(|page| page.origin().ascii_serialization());
        let site = match from {
            None => "none",
            Some(page) if page.origin() == url.origin() => "same-origin",
            Some(_) => "cross-site",
        };
        headers.push(("sec-fetch-site", site));
        if *method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
            if let Some(origin) = &origin {
                headers.push(("origin", origin));
            }
        }
        let answer = endpoint.send(method.clone(), body.to_owned(), &headers).await?.whole().await?;
        for cookie in answer.headers.get_all(http::header::SET_COOKIE) {
            self.keep(url, cookie.to_str()?);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Ok(Page {
            url: url.clone(),
            status: answer.status,
            headers: answer.headers,
            body: text,
            left_for: None,
        })
    }

    fn keep(&mut self, url: &Url, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let gone = parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) || value.is_empty();
        let jar = self.cookies.entry(jar(url)).or_default();
        if gone {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Unlike real browsers it keeps the servers of one host apart by their ports:
/// several stand on the loopback of one test.
fn jar(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

impl Page {
    /// Where the page leads by itself, at once: no redirect of a form.
    fn refresh(&self) -> Result<Option<Url>> {
        let Some((_, rest)) = self.body.split_once("http-equiv=\"refresh\" content=\"0; url=") else {
            return Ok(None);
        };
        let target = unescaped(rest.split('"').next().unwrap_or_default());
        Ok(Some(self.url.join(&target)?))
    }

    /// Where the link leads whose target contains `target`.
    pub fn link(&self, target: &str) -> Result<Url> {
        let tags = self.body.split("<a ").skip(1).map(|rest| rest.split('>').next().unwrap_or(rest));
        let mut targets = tags.filter_map(|tag| attribute(&format!(" {tag}"), "href"));
        let found = targets.find(|found| found.contains(target));
        let found = found.with_context(|| format!("no link to {target:?} on {}: {}", self.url, self.body))?;
        Ok(self.url.join(&found)?)
    }

    /// The form whose action has exactly this path.
    pub fn form_to(&self, path: &str) -> Result<Form> {
        self.form_where(path, |action| action.path() == path)
    }

    /// The form whose action contains `action`.
    pub fn form(&self, action: &str) -> Result<Form> {
        self.form_where(action, |found| found.as_str().contains(action))
    }

    fn form_where(&self, action: &str, wanted: impl Fn(&Url) -> bool) -> Result<Form> {
        let forms = self.body.split("<form").skip(1).map(|rest| rest.split("</form").next().unwrap_or(rest));
        for text in forms {
            let form = self.read_form(text)?;
            if wanted(&form.action) {
                return Ok(form);
            }
        }
        bail!("no form towards {action:?} on {}: {} {}", self.url, self.status, self.body)
    }

    fn read_form(&self, text: &str) -> Result<Form> {
        let (head, content) = text.split_once('>').context("a form that does not end")?;
        let action = attribute(head, "action").unwrap_or_default();
        let mut fields = Vec::new();
        for tag in content.split("<input").skip(1) {
            let tag = tag.split('>').next().unwrap_or(tag);
            let kind = attribute(tag, "type").unwrap_or_default();
            let unchecked = matches!(kind.as_str(), "checkbox" | "radio") && !tag.contains(" checked");
            if let Some(name) = attribute(tag, "name")
                && !unchecked
                && kind != "submit"
            {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        let mut buttons = Vec::new();
        for tag in content.split("<button").skip(1) {
            let tag = tag.split('>').next().unwrap_or(tag);
            if let Some(name) = attribute(tag, "name") {
                buttons.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        let post = attribute(head, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        Ok(Form {
            page: self.url.clone(),
            action: self.url.join(&action)?,
            method: if post { Method::POST } else { Method::GET },
            targets: form_targets(&self.headers),
            fields,
            buttons,
        })
    }
}

impl Form {
    /// Fills in a field, which the form must have.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self> {
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        let field =
            field.with_context(|| format!("the form towards {} has no field {name:?}", self.action))?;
        value.clone_into(&mut field.1);
        Ok(self)
    }

    /// Adds a field, as a button or a script of the page would.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the form says in `name`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// CSP level 3, section 6.4.2, for `'self'`, `scheme:` and origins.
    fn allows(&self, url: &Url) -> bool {
        let Some(targets) = &self.targets else { return true };
        targets.iter().any(|target| match target.as_str() {
            "'self'" => url.origin() == self.page.origin(),
            scheme if scheme.ends_with(':') => url.scheme() == scheme.trim_end_matches(':'),
            origin => origin.parse::<Url>().is_ok_and(|origin| origin.origin() == url.origin()),
        })
    }
}

fn form_targets(headers: &HeaderMap) -> Option<Vec<String>> {
    let policy = headers.get(http::header::CONTENT_SECURITY_POLICY)?.to_str().ok()?;
    let targets = policy.split(';').find_map(|part| part.trim().strip_prefix("form-action "))?;
    Some(targets.split_whitespace().map(str::to_owned).collect())
}

/// The value of an attribute in a tag, without its entities.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\"")).map(|at| at + name.len() + 3)?;
    let value = tag[start..].split('"').next()?;
    Some(unescaped(value))
}

/// The entities that templates write.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    pairs.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str, policy: &str) -> Page {
        let policy = (http::header::CONTENT_SECURITY_POLICY, policy.parse().expect("a value"));
        Page {
            url: "http://localhost:1/login?next=%2F".parse().expect("a URL"),
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([policy]),
            body: body.to_owned(),
            left_for: None,
        }
    }

    #[test]
    fn a_form_is_read_as_the_page_gives_it() {
        let body = r#"<form method="post" action="/consent?a=1&amp;b=2"><input type="hidden" name="token" value="a&#34;b">
            <input name="login"><button name="answer" value="allow">Allow</button></form>"#;
        let page = page(body, "default-src 'none'; form-action 'self' http://localhost:9 cursor:");
        let form = page.form("/consent").and_then(|form| form.set("login", "ann")).expect("a form");
        assert_eq!(form.action.as_str(), "http://localhost:1/consent?a=1&b=2");
        assert_eq!(form.fields, [("token".into(), "a\"b".into()), ("login".into(), "ann".into())]);
        assert_eq!(form.buttons, [("answer".into(), "allow".into())]);
        let allows = |url: &str| form.allows(&url.parse().expect("a URL"));
        assert!(allows("http://localhost:1/x") && allows("http://localhost:9/y") && allows("cursor://z"));
        assert!(!allows("http://localhost:8/") && !allows("https://localhost:9/"));
    }
}
