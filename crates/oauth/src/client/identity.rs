//! Who a caller is, as servers' authorization servers are shown it: the ID
//! token of the person's own sign-in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use thiserror::Error;
use trunkline_model::{GivenClient, Secret, UserId};

/// A question under way.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, NoIdentity>> + Send + 'a>>;

/// The sign-ins of people, as far as they can be shown to others.
pub trait Identities: fmt::Debug + Send + Sync {
    /// The ID token of `user` from the sign-in provider `provider`, renewed
    /// where its time is over, or where it is the `refused` one.
    fn id_token<'a>(
        &'a self,
        user: UserId,
        provider: &'a str,
        refused: Option<i64>,
    ) -> Answering<'a, IdToken>;

    /// Where `provider` exchanges tokens, and the client that the hub is there.
    fn exchange_at<'a>(&'a self, provider: &'a str) -> Answering<'a, Provider>;
}

/// An ID token.
#[derive(Debug, Clone)]
pub struct IdToken {
    pub token: Secret,
    /// Which one it is.
    pub version: i64,
}

/// A sign-in provider as a place where tokens are exchanged.
#[derive(Debug, Clone)]
pub struct Provider {
    pub token_endpoint: String,
    pub client: GivenClient,
}

/// Why there is no ID token to show. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoIdentity {
    /// The person has to sign in.
    #[error("{0}")]
    SignIn(String),
    /// Nobody signs in as this caller.
    #[error("{0}")]
    Nobody(String),
    /// It cannot be had now.
    #[error("{0}")]
    Away(String),
}

/// Of a hub where nobody signs in.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct NoSignIn;

#[cfg(test)]
impl Identities for NoSignIn {
    fn id_token<'a>(&'a self, _: UserId, _: &'a str, _: Option<i64>) -> Answering<'a, IdToken> {
        Box::pin(std::future::ready(Err(NoIdentity::Nobody("nobody signs in here".to_owned()))))
    }

    fn exchange_at<'a>(&'a self, _: &'a str) -> Answering<'a, Provider> {
        Box::pin(std::future::ready(Err(NoIdentity::Away("there is no provider".to_owned()))))
    }
}
