//! Bytes of a picture that are read from the first on, and what is said where they end early.

/// Why a picture is damaged.
pub(super) type Damage = String;

/// Bytes that are read from the first on.
pub(super) struct Rest<'a>(pub &'a [u8]);

impl<'a> Rest<'a> {
    /// The next `n` bytes of a part called `part`.
    pub fn take(&mut self, n: usize, part: &str) -> Result<&'a [u8], Damage> {
        let (bytes, rest) = self.0.split_at_checked(n).ok_or_else(|| early(part))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn byte(&mut self, part: &str) -> Result<u8, Damage> {
        Ok(self.take(1, part)?[0])
    }

    pub fn array<const N: usize>(&mut self, part: &str) -> Result<[u8; N], Damage> {
        Ok(self.take(N, part)?.try_into().expect("as many bytes as were taken"))
    }
}

pub(super) fn early(part: &str) -> Damage {
    format!("its data end early, in {part}")
}
