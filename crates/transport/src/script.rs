//! The script that finds or places the program on a node, in the language that every `sh` has.
//!
//! It is one line without single quotes, so that it stands between single quotes whatever the login
//! shell of a user is. It says what it needs in lines that begin with [`marker`]; whatever a login
//! shell prints before the first of them is not its own. Values come as arguments, never as part of the
//! text.

/// Arguments: a word that only this connection knows, the hash of the program in hexadecimal
/// digits, and the directory to use, empty for the first of several that will do.
///
/// * `START path`: the agent takes over; what follows on the stream is its own.
/// * `NEED arch`: answered with a line `hash size`, or with the end of the stream.
/// * `SEND`: answered with the program.
/// * `BAD text`: a directory that will not do, and why; the next one is tried.
/// * `FAIL text`, `MISSING tool`, `NOPLACE`: it has given up.
pub(crate) const SCRIPT: &str = concat!(
    r#"n=$1 h=$2 d=$3; "#,
    r#"say() { printf "\nflagperf:%s:%s\n" "$n" "$*"; }; "#,
    r#"try() { if [ -s "$1/$h" ] && [ -x "$1/$h" ] && { [ -n "$d" ] || [ -O "$1/$h" ]; }; "#,
    r#"then say START "$1/$h"; exec "$1/$h" agent; fi; }; "#,
    // The usual case costs no other process than the agent's own.
    r#"f=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/flagperf; [ -z "$d" ] || f=$d; try "$f"; "#,
    r#"for t in uname head wc chmod mv mkdir rm id; do command -v $t >/dev/null 2>&1 || { say MISSING $t; exit 3; }; done; "#,
    // If nobody listens any more, a word to them must not end the shell before it has tidied up.
    r#"trap : PIPE HUP TERM; u=flagperf-$(id -u); "#,
    r#"if [ -n "$d" ]; then set -- "$d"; else set -- "$f" "${TMPDIR:-/tmp}/$u" "/var/tmp/$u" "/dev/shm/$u"; "#,
    r#"for c do try "$c"; done; fi; "#,
    r#"say NEED "$(uname -m)"; read h s || exit 3; [ -n "$s" ] || exit 3; "#,
    r#"for c do try "$c"; t=$c/.$h.$$; "#,
    r#"o=$({ umask 077; mkdir -p "$c" && printf "exit 0\n" >"$t" && chmod 700 "$t" && "$t"; } 2>&1) "#,
    r#"|| { rm -f "$t" 2>/dev/null; say BAD "$c: ${o:-programs cannot be run from it}"; continue; }; "#,
    r#"[ -n "$d" ] || [ -O "$c" ] || { rm -f "$t"; say BAD "$c: it belongs to somebody else"; continue; }; "#,
    r#"k=$(df -Pk "$c" 2>/dev/null | { read x; read x x x a x; echo "$a"; }); "#,
    // Text that is no number makes this test fail, which is to say that the room is not known.
    r#"[ "$k" -le $((s / 1024 + 16)) ] 2>/dev/null && { rm -f "$t"; say BAD "$c: no space left, $k KiB are free and $((s / 1024)) are needed"; continue; }; "#,
    r#"say SEND; o=$(head -c "$s" 2>&1 >"$t"); "#,
    r#"[ "$(wc -c <"$t")" -eq "$s" ] || { rm -f "$t"; say FAIL "$c: the program did not arrive whole: $o"; exit 4; }; "#,
    r#"o=$({ chmod 700 "$t" && mv -f "$t" "$c/$h"; } 2>&1) || { rm -f "$t"; say FAIL "$c: $o"; exit 4; }; "#,
    r#"say START "$c/$h"; exec "$c/$h" agent; done; say NOPLACE; exit 5"#
);

/// What stands at the start of a line of the script's own.
pub(crate) fn marker(nonce: &str) -> String {
    format!("\nflagperf:{nonce}:")
}

/// The script with its arguments as one text for a login shell, which hands it to `sh`.
pub(crate) fn for_login_shell(nonce: &str, hash: &str, directory: &str) -> String {
    format!(
        "exec /bin/sh -c '{SCRIPT}' flagperf {nonce} {hash} {}",
        quoted(directory)
    )
}

/// A word between single quotes, as every shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The script with its arguments as words, for launchers that pass words on.
pub(crate) fn as_words(nonce: &str, hash: &str, directory: &str) -> Vec<String> {
    ["sh", "-c", SCRIPT, "flagperf", nonce, hash, directory]
        .map(str::to_owned)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_survives_every_login_shell() {
        // Single quotes would end the quotation; csh takes `!` and newlines amiss even inside it.
        assert!(!SCRIPT.contains(['\'', '!', '\n']), "{SCRIPT}");
    }

    #[test]
    fn a_directory_stays_a_word() {
        let text = for_login_shell("n", "h", "/a b/$(touch x)'y");
        assert!(
            text.ends_with(r"flagperf n h '/a b/$(touch x)'\''y'"),
            "{text}"
        );
    }
}
