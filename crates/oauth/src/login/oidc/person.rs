//! From claims to a user of this hub. People are known by issuer and
//! subject; an e-mail address alone never makes two of them one.

use trunkline_model::{Role, User, UserKind};
use trunkline_storage::{Changed, Identity, IdentityOwner, StoreError, UserChange};

use super::super::{Login, new_person};
use super::{Claims, Issuer};

/// Why a person whom the provider knows is not let in. The words are for them.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLetIn {
    #[error("Your account at the identity provider may not use this hub. Ask an administrator.")]
    NotAllowed,
    #[error("You have no account here yet, and this hub makes none by itself. Ask an administrator.")]
    NoAccount,
    #[error("Somebody else has the sign-in name that your account would have here. Ask an administrator.")]
    LoginTaken,
    #[error("Your account here is disabled. Ask an administrator.")]
    Disabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Login {
    /// The user that these claims are about, with what the claims say of them.
    pub(super) async fn person(&self, issuer: &Issuer, claims: &Claims) -> Result<User, NotLetIn> {
        if !claims.are_allowed(&issuer.settings) {
            return Err(NotLetIn::NotAllowed);
        }
        let subject = claims.text("sub").unwrap_or_default().to_owned();
        let identity = Identity { issuer: issuer.settings.issuer.clone(), subject };
        let user = match self.store.users().find_by_identity(&identity).await? {
            Some(user) => user,
            None => self.newcomer(issuer, &identity, claims).await?,
        };
        if user.disabled_at.is_some() || user.kind != UserKind::Person {
            return Err(NotLetIn::Disabled);
        }
        self.bring_up_to_date(issuer, user, claims).await
    }

    async fn newcomer(
        &self,
        issuer: &Issuer,
        identity: &Identity,
        claims: &Claims,
    ) -> Result<User, NotLetIn> {
        let settings = &issuer.settings;
        let login = claims.login(settings);
        if settings.adopt_users
            && let Some(login) = &login
            && let Some(user) = self.adopt(identity, login).await?
        {
            return Ok(user);
        }
        if !settings.create_users {
            return Err(NotLetIn::NoAccount);
        }
        // Unique without an address too, and nobody's address.
        let login = login.unwrap_or_else(|| format!("{}:{}", settings.name, identity.subject).to_lowercase());
        let login = User::login_from(&login).ok_or(NotLetIn::LoginTaken)?;
        let role = claims.role(settings).unwrap_or(Role::Member);
        let new = new_person(login, claims.name().unwrap_or_default(), role, self.now());
        match self.store.users().find_or_insert(identity, &new).await? {
            IdentityOwner::Known(user) => Ok(user),
            IdentityOwner::New(user) => {
                tracing::info!(user = %user.id, issuer = %settings.name, "somebody signs in for the first time");
                Ok(user)
            }
            IdentityOwner::LoginTaken => Err(NotLetIn::LoginTaken),
        }
    }

    /// The user with this login, when nobody could sign in as them so far.
    async fn adopt(&self, identity: &Identity, login: &str) -> Result<Option<User>, StoreError> {
        let users = self.store.users();
        let Some(user) = users.find_by_login(login).await? else { return Ok(None) };
        let is_known_elsewhere = users
            .identities()
            .await?
            .iter()
            .any(|(other, id)| *id == user.id && other.issuer != super::super::super::scim::SOURCE);
        if is_known_elsewhere || users.password_of(login).await?.is_some() {
            return Ok(None);
        }
        users.set_identity(user.id, identity).await?;
        tracing::info!(user = %user.id, "a user who was made before signs in for the first time");
        Ok(Some(user))
    }

    /// Name, role and groups are the provider's at each sign-in.
    async fn bring_up_to_date(&self, issuer: &Issuer, user: User, claims: &Claims) -> Result<User, NotLetIn> {
        let settings = &issuer.settings;
        self.store.users().set_groups(user.id, &settings.name, &claims.groups(settings)).await?;
        let change = UserChange {
            name: claims.name().filter(|name| *name != user.name),
            role: claims.role(settings).filter(|role| *role != user.role),
            ..UserChange::default()
        };
        if change.name.is_none() && change.role.is_none() {
            return Ok(user);
        }
        // The rules are the operator's, who is as good as an owner.
        match self.store.users().change(user.id, change, Role::Owner, self.now()).await? {
            Changed::Done(user) => Ok(user),
            Changed::Absent => Err(NotLetIn::NoAccount),
            Changed::LastOwner => {
                tracing::warn!(user = %user.id, "the last owner stays one, whatever the identity provider says");
                Ok(user)
            }
            Changed::Forbidden | Changed::LoginTaken => Ok(user),
        }
    }
}
