//! ID tokens and logout tokens: signature, and whom they are from, for and
//! about (OpenID Connect Core section 3.1.3.7; Back-Channel Logout section 2.6).

use std::time::Duration;

use jsonwebtoken::Header;
use serde_json::{Map, Value};
use trunkline_model::Timestamp;
use trunkline_web::Outbound;

use super::{Claims, Issuer, OidcError};
use crate::foreign_jwt::{claims_of, header_of};

/// How far the provider's clock may be off.
const LEEWAY: Duration = Duration::from_mins(1);
/// How old a token may be that is told when it is made.
const OLDEST: Duration = Duration::from_mins(10);
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Whose sign-in ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogoutToken {
    pub(super) subject: Option<String>,
    /// What the provider calls the session.
    pub(super) session: Option<String>,
    pub(super) id: String,
}

/// What an ID token answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// A sign-in with this nonce.
    Nonce(&'a str),
    /// A refresh of what this ID token, which was verified when it came, began.
    Renewal(&'a str),
}

impl Issuer {
    /// The claims of an ID token for this hub that answers what was asked.
    pub(super) async fn verify_id_token(
        &self,
        outbound: &Outbound,
        token: &str,
        asked: Asked<'_>,
        now: Timestamp,
    ) -> Result<Claims, OidcError> {
        let (header, claims) = self.verified(outbound, token, now).await?;
        if header.typ.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
            return Err(OidcError::Token("it is of another type"));
        }
        check_id_token(&claims, &self.settings.issuer, &self.settings.client_id, now)?;
        match asked {
            Asked::Nonce(nonce) => check_nonce(&claims, nonce)?,
            Asked::Renewal(before) => check_renewal(&claims, before)?,
        }
        Ok(Claims(claims))
    }

    /// What a logout token says.
    pub(super) async fn verify_logout_token(
        &self,
        outbound: &Outbound,
        token: &str,
        now: Timestamp,
    ) -> Result<LogoutToken, OidcError> {
        let (_, claims) = self.verified(outbound, token, now).await?;
        check_logout_token(&claims, &self.settings.issuer, &self.settings.client_id, now)
    }

    /// Checks the signature alone.
    async fn verified(
        &self,
        outbound: &Outbound,
        token: &str,
        now: Timestamp,
    ) -> Result<(Header, Map<String, Value>), OidcError> {
        let header = header_of(token)?;
        let keys = self.keys(outbound, now, |keys| keys.has(&header)).await?;
        let claims = claims_of(token, &header, &keys)?;
        Ok((header, claims))
    }
}

fn check_id_token(
    claims: &Map<String, Value>,
    issuer: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<(), OidcError> {
    check_parties(claims, issuer, client_id)?;
    let end = time(claims, "exp").ok_or(OidcError::Token("it never ends"))?;
    if now >= end.plus(LEEWAY) {
        return Err(OidcError::Token("it has expired"));
    }
    check_made(claims, now)?;
    if claims.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(OidcError::Token("it names nobody"));
    }
    Ok(())
}

fn check_nonce(claims: &Map<String, Value>, nonce: &str) -> Result<(), OidcError> {
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(OidcError::Token("it answers another request"));
    }
    Ok(())
}

/// About the same person and the same sign-in (OpenID Connect Core section 12.2).
fn check_renewal(claims: &Map<String, Value>, before: &str) -> Result<(), OidcError> {
    let before: Map<String, Value> = jsonwebtoken::dangerous::insecure_decode_claims(before)
        .map_err(|_| OidcError::Token("there is none that it could renew"))?;
    if claims.get("sub") != before.get("sub") {
        return Err(OidcError::Token("it is about somebody else"));
    }
    for name in ["nonce", "auth_time"] {
        let (now, then) = (claims.get(name), before.get(name));
        if now.is_some() && then.is_some() && now != then {
            return Err(OidcError::Token("it answers another request"));
        }
    }
    Ok(())
}

/// When an ID token ends.
pub(super) fn end_of(claims: &Claims) -> Option<Timestamp> {
    time(&claims.0, "exp")
}

fn check_logout_token(
    claims: &Map<String, Value>,
    issuer: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<LogoutToken, OidcError> {
    check_parties(claims, issuer, client_id)?;
    check_made(claims, now)?;
    if time(claims, "exp").is_some_and(|end| now >= end.plus(LEEWAY)) {
        return Err(OidcError::Token("it has expired"));
    }
    if !claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(Value::is_object) {
        return Err(OidcError::Token("it is about no sign-out"));
    }
    // An ID token must never pass for one.
    if claims.contains_key("nonce") {
        return Err(OidcError::Token("it has a nonce"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let (subject, session) = (text("sub"), text("sid"));
    if subject.is_none() && session.is_none() {
        return Err(OidcError::Token("it names nobody"));
    }
    let id = text("jti").ok_or(OidcError::Token("it has no id"))?;
    Ok(LogoutToken { subject, session, id })
}

/// `iss`, `aud` and `azp`.
fn check_parties(claims: &Map<String, Value>, issuer: &str, client_id: &str) -> Result<(), OidcError> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(OidcError::Token("it is from another issuer"));
    }
    let (is_for_us, is_for_others) = match claims.get("aud") {
        Some(Value::String(audience)) => (audience == client_id, false),
        Some(Value::Array(audiences)) => {
            let us = Value::from(client_id);
            (audiences.contains(&us), audiences.iter().any(|audience| *audience != us))
        }
        _ => (false, false),
    };
    let party = claims.get("azp").map(|party| party.as_str() == Some(client_id));
    if !is_for_us || party == Some(false) || (is_for_others && party.is_none()) {
        return Err(OidcError::Token("it is for another client"));
    }
    Ok(())
}

/// `iat` and `nbf`.
fn check_made(claims: &Map<String, Value>, now: Timestamp) -> Result<(), OidcError> {
    let made = time(claims, "iat").ok_or(OidcError::Token("it does not say when it was made"))?;
    let begins = time(claims, "nbf").unwrap_or(made);
    if made > now.plus(LEEWAY) || begins > now.plus(LEEWAY) {
        return Err(OidcError::Token("it is from the future"));
    }
    if now.since(made) > OLDEST {
        return Err(OidcError::Token("it is too old"));
    }
    Ok(())
}

fn time(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    let seconds = value.as_i64().or_else(|| {
        // RFC 7519 section 2 lets a date have fractions.
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and such a date is far off")]
        value.as_f64().map(|seconds| seconds as i64)
    })?;
    Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn with(changes: &Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "hub", "sub": "42", "nonce": "n",
            "iat": 1_700_000_000, "exp": 1_700_000_600,
        });
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        let mut claims = claims.as_object().expect("an object").clone();
        claims.retain(|_, value| !value.is_null());
        claims
    }

    fn check(changes: &Value) -> Result<(), String> {
        let claims = with(changes);
        check_id_token(&claims, "https://idp.example", "hub", NOW)
            .and_then(|()| check_nonce(&claims, "n"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_id_token_is_from_the_issuer_for_this_hub_and_of_now() {
        for good in [
            json!({}),
            json!({"aud": ["hub"]}),
            json!({"aud": ["hub", "other"], "azp": "hub"}),
            json!({"exp": 1_699_999_950}),
            json!({"iat": 1_700_000_050}),
            json!({"iat": 1_700_000_000.5}),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            (json!({"iss": "https://idp.example/"}), "another issuer"),
            (json!({"iss": null}), "another issuer"),
            (json!({"aud": "other"}), "another client"),
            (json!({"aud": ["hub", "other"]}), "another client"),
            (json!({"aud": []}), "another client"),
            (json!({"azp": "other"}), "another client"),
            (json!({"exp": 1_699_999_940}), "expired"),
            (json!({"exp": null}), "never ends"),
            (json!({"exp": "tomorrow"}), "never ends"),
            (json!({"iat": 1_700_000_100}), "future"),
            (json!({"nbf": 1_700_000_100}), "future"),
            (json!({"iat": 1_699_990_000}), "too old"),
            (json!({"nonce": "other"}), "another request"),
            (json!({"nonce": null}), "another request"),
            (json!({"sub": ""}), "nobody"),
        ] {
            let error = check(&bad).expect_err("refused");
            assert!(error.contains(fault), "{bad}: {error}");
        }
    }

    #[test]
    fn a_renewed_id_token_is_about_the_same_person_and_sign_in() {
        let token = |changes: &Value| {
            let body = encoded(serde_json::to_string(&with(changes)).expect("JSON").as_bytes());
            format!("{}.{body}.AA", encoded(br#"{"alg":"EdDSA"}"#))
        };
        let before = token(&json!({"auth_time": 1_699_999_000}));
        for good in
            [json!({}), json!({"nonce": null}), json!({"auth_time": 1_699_999_000, "iat": 1_700_000_010})]
        {
            assert!(check_renewal(&with(&good), &before).is_ok(), "{good}");
        }
        for bad in [
            json!({"sub": "43"}),
            json!({"sub": null}),
            json!({"nonce": "other"}),
            json!({"auth_time": 1_699_999_001}),
        ] {
            assert!(check_renewal(&with(&bad), &before).is_err(), "{bad}");
        }
        assert!(check_renewal(&with(&json!({})), "no token").is_err());
    }

    #[test]
    fn a_logout_token_is_no_id_token() {
        let check = |changes: Value| {
            let mut base = json!({"nonce": null, "jti": "j", "sid": "s", "events": {LOGOUT_EVENT: {}}});
            for (name, value) in changes.as_object().expect("an object") {
                base[name] = value.clone();
            }
            check_logout_token(&with(&base), "https://idp.example", "hub", NOW)
                .map_err(|error| error.to_string())
        };
        let expected = LogoutToken { subject: Some("42".into()), session: Some("s".into()), id: "j".into() };
        assert_eq!(check(json!({})), Ok(expected));
        for bad in [
            json!({"nonce": "n"}),
            json!({"events": {}}),
            json!({"events": null}),
            json!({"jti": null}),
            json!({"sid": null, "sub": null}),
            json!({"aud": "other"}),
            json!({"iat": 1_699_990_000}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }

    fn encoded(bytes: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }
}
