//! In a program that is not under test nothing is made to fail: this is what
//! `faults.rs` is then, and costs nothing.

#![expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "they stand for what can fail in tests")]

use crate::vault::VaultError;

#[derive(Debug, Default, Clone)]
pub(crate) struct Faults(());

#[derive(Debug)]
pub(crate) struct FaultsOfWork(());

impl Faults {
    pub(crate) fn of_work(&self) -> FaultsOfWork {
        FaultsOfWork(())
    }

    pub(crate) fn watch<E>(&self, executor: E) -> E {
        executor
    }

    pub(crate) fn sealing(&self) -> Result<(), VaultError> {
        Ok(())
    }

    pub(crate) fn opening(&self) -> Result<(), VaultError> {
        Ok(())
    }
}

impl FaultsOfWork {
    pub(crate) fn watch<E>(&self, executor: E) -> E {
        executor
    }

    pub(crate) fn commit(&self) -> Result<(), sqlx::Error> {
        Ok(())
    }
}
