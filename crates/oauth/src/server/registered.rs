//! Clients that an operator makes.

use rand::CryptoRng;
use thiserror::Error;
use trunkline_model::{ClientKind, OauthClient, Secret, Timestamp, UserId};

use super::client_metadata::{AuthMethod, ClientMetadata};
use super::redirect;
use crate::keys::Form;

/// What client is wanted.
#[derive(Debug, Clone, Default)]
pub struct NewClient {
    /// Its `client_id`.
    pub id: String,
    pub name: String,
    pub redirect_uris: Vec<String>,
    /// It gets a secret.
    pub confidential: bool,
    /// The service account that it acts as with its own credentials alone.
    pub service_user: Option<UserId>,
    /// It may exchange tokens of its users for tokens of other profiles.
    pub token_exchange: bool,
    /// It may present assertions of trusted identity providers.
    pub assertions: bool,
}

/// Why a client cannot be made so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NewClientFault {
    #[error(
        "a client id has 1 to 100 of the characters a-z, A-Z, 0-9, '-', '_' and '.', and does not begin with 'http'"
    )]
    Id,
    #[error("{0} cannot be a redirect URI: use https, loopback http, or a scheme of the app's own")]
    Redirect(String),
    #[error("a client needs a redirect URI, a service account, or both")]
    Useless,
    #[error("a client that acts by itself needs a secret: make it confidential")]
    Public,
}

/// Makes a client, and its secret where it has one.
///
/// # Errors
/// [`NewClientFault`].
pub fn create_client(
    wanted: NewClient,
    random: &mut impl CryptoRng,
    now: Timestamp,
) -> Result<(OauthClient, Option<Secret>), NewClientFault> {
    check(&wanted)?;
    let secret = wanted.confidential.then(|| Form::CLIENT_SECRET.mint(random));
    let metadata = ClientMetadata {
        client_name: Some(wanted.name.clone()),
        token_endpoint_auth_method: Some(if wanted.confidential {
            AuthMethod::ClientSecretBasic
        } else {
            AuthMethod::None
        }),
        grant_types: grant_types(&wanted),
        response_types: vec!["code".to_owned()],
        redirect_uris: wanted.redirect_uris,
        ..ClientMetadata::default()
    };
    let client = OauthClient {
        id: wanted.id,
        kind: ClientKind::Registered,
        name: wanted.name,
        metadata: serde_json::to_string(&metadata).unwrap_or_default(),
        secret_hash: secret.as_ref().map(|minted| minted.hash),
        previous_secret: None,
        secret_at: None,
        registration_hash: None,
        service_user: wanted.service_user,
        registered_from: "operator".to_owned(),
        created_at: now,
        used_at: None,
        blocked_at: None,
    };
    Ok((client, secret.map(|minted| minted.key)))
}

fn check(wanted: &NewClient) -> Result<(), NewClientFault> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=100).contains(&wanted.id.len()) || !wanted.id.bytes().all(legal) || wanted.id.starts_with("http")
    {
        return Err(NewClientFault::Id);
    }
    if let Some(bad) = wanted.redirect_uris.iter().find(|uri| redirect::kind(uri).is_none()) {
        return Err(NewClientFault::Redirect(bad.clone()));
    }
    let acts_by_itself = wanted.service_user.is_some() || wanted.token_exchange || wanted.assertions;
    if acts_by_itself && !wanted.confidential {
        return Err(NewClientFault::Public);
    }
    if wanted.redirect_uris.is_empty() && !acts_by_itself {
        return Err(NewClientFault::Useless);
    }
    Ok(())
}

fn grant_types(wanted: &NewClient) -> Vec<String> {
    let mut grants = Vec::new();
    if !wanted.redirect_uris.is_empty() {
        grants.extend(["authorization_code", "refresh_token", super::client_metadata::DEVICE_CODE]);
    }
    if wanted.service_user.is_some() {
        grants.push("client_credentials");
    }
    if wanted.token_exchange {
        grants.push(super::token::TOKEN_EXCHANGE);
    }
    if wanted.assertions {
        grants.push(super::token::JWT_BEARER);
    }
    grants.into_iter().map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_client_that_can_do_nothing_or_too_much_is_not_made() {
        let make = |wanted: NewClient| {
            create_client(wanted, &mut StdRng::seed_from_u64(1), Timestamp::from_micros(1))
                .map(|(client, _)| client.id)
        };
        let client = NewClient {
            id: "ci".to_owned(),
            redirect_uris: vec!["https://ci.example/cb".to_owned()],
            ..NewClient::default()
        };
        assert_eq!(make(client.clone()), Ok("ci".to_owned()));
        assert_eq!(make(NewClient { id: "https://x".to_owned(), ..client.clone() }), Err(NewClientFault::Id));
        assert_eq!(make(NewClient { token_exchange: true, ..client.clone() }), Err(NewClientFault::Public));
        assert_eq!(make(NewClient { redirect_uris: vec![], ..client.clone() }), Err(NewClientFault::Useless));
        let astray = NewClient { redirect_uris: vec!["http://ci.example/".to_owned()], ..client };
        assert!(matches!(make(astray), Err(NewClientFault::Redirect(_))));
    }
}
