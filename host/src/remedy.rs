//! What helps after an error, where a command or a route does it.
//!
//! Owns the kinds of remedy: an error names one of them. Leaves the words to the outer layer: the
//! command line names its verbs, and the service its routes.

/// What to do about an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Create the database, or name another.
    Create(String),
    /// Name another file.
    NameAnotherFile,
    /// Rename the tables with almost the gate's names, or have new ones made next to them.
    RenameTables,
    /// Prepare the database.
    Prepare(String),
    /// Give the password for the server of the database.
    GivePassword,
    /// Choose from the alerts.
    ListAlerts,
    /// Choose from the tasks.
    ListTasks,
    /// Choose from the jobs.
    ListJobs,
    /// Choose from the generations.
    ListGenerations,
    /// Choose from the fixtures.
    ListFixtures,
    /// Choose from the tokens.
    ListTokens,
    /// Look at the reason of a repo's newest freeze, and name it by its number.
    LookAtFreeze {
        /// The repo.
        repo: String,
        /// The number.
        newest: i64,
    },
    /// Force the end of a task with a reason, or show the token of its running job.
    ForceTheEnd,
    /// Say why.
    GiveReason,
    /// Put the job back.
    Requeue(i64),
    /// Look at what happened to the policy, and try again.
    LookAtHistory,
    /// Make one of the generations the active one.
    TakeUpGeneration,
    /// Make the built-in policy the active one.
    TakeBuiltIn,
    /// Swap in a policy, which writes settings and limits anew.
    SwapAnew,
    /// Swap in the same component again, or the built-in policy.
    SwapAgain,
    /// Swap in the component of a generation that is to be active.
    SwapFile,
    /// Start a shadow.
    StartShadow,
    /// Switch freezes on.
    SwitchFreezesOn,
    /// Start the process without its own setting that switches freezes off.
    DropFreezeOverride,
    /// Name the repo in the rules, such as these.
    NameInRules(String),
    /// Sign the component.
    Sign,
    /// Sign the component again, if it is known why it was altered.
    SignAgain,
    /// Trust the key of the signature, or sign the component with a trusted one.
    TrustKey,
}

/// An error's text and the words of its remedy. They continue the sentence, or begin a new one after
/// a question.
pub fn with_advice(wrong: &str, advice: &str) -> String {
    if !wrong.ends_with('?') {
        return format!("{wrong}: {advice}");
    }
    let mut letters = advice.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let advice: String = first.into_iter().chain(letters).collect();
    format!("{wrong} {advice}")
}
