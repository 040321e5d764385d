//! The script that finds or places the program on a node, in the language that every `sh` has.
//!
//! It is one line without single quotes, so that it stands between single quotes whatever the login
//! shell of a user is. It says what it needs in lines that begin with [`marker`]; whatever a login
//! shell prints before the first of them is not its own. Values come as arguments, never as part of the
//! text.

/// Arguments: a word that only this connection knows, the hash of the program in hexadecimal
/// digits, the directory to use, empty for the first of several that will do, and [`ANEW`] if a copy
/// that is found is not to be trusted.
///
/// * `START path`: the agent takes over; what follows on the stream is its own.
/// * `NEED arch`: answered with a line `hash size`, or with the end of the stream.
/// * `SEND`: answered with the program.
/// * `BAD text`: a directory that will not do, and why; the next one is tried.
/// * `NORUN status text`: the program arrived and does not tell its hash there; it has given up.
/// * `FAIL text`, `MISSING tool`, `NOPLACE`: it has given up.
pub(crate) const SCRIPT: &str = concat!(
    r#"n=$1 h=$2 d=$3 m=${4-} f=; "#,
    r#"say() { printf "\nflagperf:%s:%s\n" "$n" "$*"; }; "#,
    // Neither root nor anybody else runs what another user may have put there.
    r#"ours() { [ -O "$1" ] && [ -O "$1/$h" ] && [ -f "$1/$h" ] && [ -s "$1/$h" ] && [ -x "$1/$h" ]; }; "#,
    r#"good() { ours "$1" && [ "$("$1/$h" agent --check 2>&1 </dev/null)" = "$h" ]; }; "#,
    r#"try() { if [ -z "$m" ]; then ours "$1"; else good "$1"; fi && { say START "$1/$h"; exec "$1/$h" agent; }; }; "#,
    // The usual case costs no other process than the agent's own.
    r#"case ${XDG_CACHE_HOME-} in /*) f=$XDG_CACHE_HOME/flagperf;; *) [ -d "${HOME-}" ] && f=${HOME%/}/.cache/flagperf;; esac; "#,
    r#"[ -n "$d" ] || [ -z "$f" ] || try "$f"; "#,
    r#"for t in uname head wc chmod mv mkdir rm id; do command -v $t >/dev/null 2>&1 || { say MISSING $t; exit 3; }; done; "#,
    // If nobody listens any more, a word to them must not end the shell before it has tidied up.
    r#"trap : PIPE HUP TERM; u=flagperf-$(id -u); "#,
    // A directory that the user names may be one that several users share.
    r#"if [ -n "$d" ]; then set -- "${d%/}/$u"; else set -- ${f:+"$f"} "${TMPDIR:-/tmp}/$u" "/var/tmp/$u" "/dev/shm/$u"; fi; "#,
    r#"for c do try "$c"; done; "#,
    r#"say NEED "$(uname -m)"; read h s || exit 3; [ -n "$s" ] || exit 3; "#,
    // The word of the connection, not the number of the process, which in containers that share a home
    // directory is the same small one.
    r#"for c do try "$c"; t=$c/.$n.new; "#,
    r#"o=$({ [ -z "$d" ] || mkdir -p "$d"; } 2>&1 && { umask 077; mkdir -p "$c"; } 2>&1) || { say BAD "$c: ${o##*: }"; continue; }; "#,
    r#"[ -O "$c" ] || { say BAD "$c: it belongs to somebody else"; continue; }; "#,
    r#"[ -d "$c/$h" ] && { say BAD "$c/$h: it is a directory; remove it"; continue; }; "#,
    // Others may run it, where a directory that is not theirs lets them: the user of a container's image does.
    r#"o=$({ printf "exit 0\n" >"$t" && chmod 755 "$t"; } 2>&1) || { rm -f "$t" 2>/dev/null; say BAD "$c: ${o##*: }"; continue; }; "#,
    r#"o=$({ "$t" </dev/null; } 2>&1) || { rm -f "$t"; say BAD "$c: programs cannot be run from it: ${o##*: } (mounted noexec?)"; continue; }; "#,
    r#"k=$(df -Pk "$c" 2>/dev/null | { read x; read x x x a x; echo "$a"; }); "#,
    // Text that is no number makes this test fail, which is to say that the room is not known.
    r#"[ "$k" -le $((s / 1024 + 16)) ] 2>/dev/null && { rm -f "$t"; say BAD "$c: no space left, $k KiB are free and $((s / 1024)) are needed"; continue; }; "#,
    r#"say SEND; o=$(head -c "$s" 2>&1 >"$t"); "#,
    r#"[ "$(wc -c <"$t")" -eq "$s" ] || { rm -f "$t"; try "$c"; say FAIL "$c: the program did not arrive whole: ${o##*: }"; exit 4; }; "#,
    // The file itself tells what it is, once it is safe on its disk.
    r#"o=$("$t" agent --check 2>&1 </dev/null); r=$?; [ "$o" = "$h" ] || { rm -f "$t"; try "$c"; say NORUN $r "$o"; exit 4; }; "#,
    // The first of several that share the directory wins: a file that is being run is not replaced.
    r#"if ln "$t" "$c/$h" 2>/dev/null || good "$c"; then rm -f "$t"; "#,
    r#"else o=$(mv -f "$t" "$c/$h" 2>&1) || { rm -f "$t"; try "$c"; say FAIL "$c: ${o##*: }"; exit 4; }; fi; "#,
    r#"say START "$c/$h"; exec "$c/$h" agent; done; say NOPLACE; exit 5"#
);

/// The script's last argument where a copy that was found did not answer as the program does.
pub(crate) const ANEW: &str = "anew";

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

/// The text for a login shell that starts a program which is there already, told as the script does, so
/// that a greeting before it is no part of the agent's stream.
pub(crate) fn for_installed(nonce: &str, path: &str) -> String {
    let path = quoted(path);
    format!(r"printf '\nflagperf:%s:START %s\n' {nonce} {path}; exec {path} agent")
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
    use std::fs;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_script_survives_every_login_shell() {
        // Single quotes would end the quotation; csh takes `!` and newlines amiss even inside it.
        assert!(!SCRIPT.contains(['\'', '!', '\n']), "{SCRIPT}");
    }

    #[test]
    fn what_starts_an_installed_program_survives_them_too() {
        let text = for_installed("n", "/a b/$(touch x)'y");
        assert_eq!(
            text,
            r"printf '\nflagperf:%s:START %s\n' n '/a b/$(touch x)'\''y'; exec '/a b/$(touch x)'\''y' agent"
        );
    }

    #[test]
    fn a_directory_stays_a_word() {
        let text = for_login_shell("n", "h", "/a b/$(touch x)'y");
        assert!(
            text.ends_with(r"flagperf n h '/a b/$(touch x)'\''y'"),
            "{text}"
        );
    }

    /// What stands for the hash of a program that is a shell script.
    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A home directory, until this is dropped.
    struct Home(PathBuf);

    impl Home {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("flagperf-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        /// Runs the script in a shell, answers with a program, and returns what the script says.
        fn run(&self, shell: &[&str], anew: &str, program: &[u8]) -> String {
            let mut child = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", SCRIPT, "flagperf", "word", HASH, "", anew])
                .env_remove("XDG_CACHE_HOME")
                .env("HOME", &self.0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut answer = format!("{HASH} {}\n", program.len()).into_bytes();
            answer.extend(program);
            // Where nothing is needed nobody reads it.
            let _ = child.stdin.take().unwrap().write_all(&answer);
            let output = child.wait_with_output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        }

        fn copies(&self) -> Vec<PathBuf> {
            fs::read_dir(self.0.join(".cache/flagperf"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect()
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A program that tells a hash, and serves.
    fn program(hash: &str) -> Vec<u8> {
        format!("#!/bin/sh\nif [ \"$2\" ]; then echo {hash}; else echo served; fi\n").into_bytes()
    }

    #[test]
    fn every_shell_places_it_finds_it_and_replaces_what_is_damaged() {
        let shells: [&[&str]; 4] = [&["sh"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];
        for (number, shell) in shells.iter().enumerate() {
            if Command::new(shell[0]).arg("--help").output().is_err() {
                println!("skipped: there is no {}", shell[0]);
                continue;
            }
            let home = Home::new(&format!("shell-{number}"));
            let copy = home.0.join(".cache/flagperf").join(HASH);
            let start = format!("flagperf:word:START {}\nserved\n", copy.display());
            let placed = home.run(shell, "", &program(HASH));
            assert!(
                placed.contains("\nflagperf:word:NEED "),
                "{shell:?}: {placed}"
            );
            assert!(
                placed.contains("\nflagperf:word:SEND\n"),
                "{shell:?}: {placed}"
            );
            assert!(placed.ends_with(&start), "{shell:?}: {placed}");
            assert_eq!(home.copies(), [copy.as_path()]);
            let found = home.run(shell, "", b"");
            assert_eq!(found, format!("\n{start}"), "{shell:?}");
            // Somebody else may have mended it.
            let found = home.run(shell, ANEW, b"");
            assert_eq!(found, format!("\n{start}"), "{shell:?}");
            fs::write(&copy, "#!/bin/sh\necho something else\n").unwrap();
            let placed = home.run(shell, ANEW, &program(HASH));
            assert!(placed.ends_with(&start), "{shell:?}: {placed}");
            assert_eq!(fs::read(&copy).unwrap(), program(HASH));
            assert_eq!(home.copies(), [copy.as_path()]);
        }
    }

    #[test]
    fn what_does_not_prove_itself_gets_no_name() {
        let home = Home::new("proof");
        let other = "f".repeat(64);
        let said = home.run(&["sh"], "", &program(&other));
        let end = format!("flagperf:word:NORUN 0 {other}\n");
        assert!(said.ends_with(&end), "{said}");
        assert_eq!(home.copies(), [""; 0].map(PathBuf::from));
        // As in an image without the loader that the program names.
        let said = home.run(&["sh"], "", b"#!/lib/ld-that-is-nowhere.so\n");
        assert!(said.contains("flagperf:word:NORUN 127 "), "{said}");
        assert!(said.ends_with("not found\n"), "{said}");
        assert_eq!(home.copies(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_program_that_does_not_arrive_whole_leaves_nothing() {
        let home = Home::new("part");
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "flagperf", "word", HASH, ""])
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", &home.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "{HASH} 1000\na part of it").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("did not arrive whole"), "{said}");
        assert_eq!(home.copies(), [""; 0].map(PathBuf::from));
    }
}
