//! A section that is one of several kinds: the macro that makes its enum.

/// Makes the enum of the kinds that a section of a file can be, each a word with its own section.
///
/// A kind is one line here; its checks and what it builds stand with its type, in its own file.
macro_rules! kinds {
    ($(#[$meta:meta])* $vis:vis enum $name:ident: $spec:ident {
        $($(#[$doc:meta])* $kind:ident($config:ty)),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        $vis enum $name { $($(#[$doc])* $kind($config)),* }

        impl $name {
            fn spec(&self) -> &dyn $spec {
                match self { $(Self::$kind(config) => config),* }
            }

            /// One of each kind, with numbers for a target of unit scale.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$kind(<$config as $spec>::example())),*]
            }

            /// The word that names the kind in a file.
            pub fn word(&self) -> String {
                let tree = crate::config::yaml::to_value(self);
                let first = tree.as_mapping().and_then(|kind| kind.keys().next());
                first.and_then(|word| word.as_str()).unwrap_or_default().to_owned()
            }
        }
    };
}

pub(crate) use kinds;
