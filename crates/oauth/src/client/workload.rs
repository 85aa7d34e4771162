//! What proves the workload that the hub is, as it is at the moment.

use std::fmt::Display;

use trunkline_model::{Secret, WorkloadToken};

/// No platform's token is longer, in bytes.
const LONGEST: usize = 64 * 1024;

/// # Errors
/// In words: its file cannot be read.
pub(super) async fn read(token: &WorkloadToken) -> Result<Secret, String> {
    let path = match token {
        WorkloadToken::Given(token) => return Ok(token.clone()),
        WorkloadToken::File(path) => path,
    };
    let failed = |fault: &dyn Display| format!("the `workload_token` cannot be read: {fault}");
    let text = tokio::fs::read_to_string(path).await.map_err(|fault| failed(&fault))?;
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(failed(&"it is empty or too large"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_anew_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let token = WorkloadToken::File(path.clone());
        assert!(read(&token).await.is_err());
        for text in ["one", "two"] {
            std::fs::write(&path, format!("{text}\n")).unwrap();
            assert_eq!(read(&token).await.unwrap().expose(), text);
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&token).await.unwrap_err().contains("empty"));
    }
}
