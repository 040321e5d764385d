//! Scripts that change passwords, keys or the ssh server of the machine that they run on.

/// What of a script's text changes credentials, in words with the numbers of the lines; absent if nothing does.
pub(super) fn changes(script: &str) -> Option<String> {
    let mut password = Vec::new();
    let mut keys = Vec::new();
    let mut server = Vec::new();
    for (number, line) in commands(script) {
        let words: Vec<&str> = line
            .split([' ', '\t', '|', ';', '&', '(', ')', '`'])
            .collect();
        let calls = |names: &[&str]| {
            words
                .iter()
                .any(|word| names.contains(&word.rsplit('/').next().unwrap_or(word)))
        };
        let touches_keys = line.contains(".ssh/")
            || line.contains(".ssh ")
            || line.split('/').next_back() == Some(".ssh");
        let writes = line
            .split_once('>')
            .is_some_and(|(_, into)| into.contains(".ssh/"));
        let takes_away = calls(&["rm", "mv", "shred", "truncate", "unlink"])
            || line.contains("-delete")
            || writes;
        if calls(&["chpasswd", "passwd", "usermod"]) || line.contains("/etc/shadow") {
            password.push(number);
        }
        if touches_keys && takes_away {
            keys.push(number);
        }
        let edits = calls(&[
            "sed", "tee", "cp", "mv", "rm", "cat", "echo", "printf", "perl",
        ]);
        if line.contains("sshd_config") && edits {
            server.push(number);
        }
    }
    let found = [
        ("sets passwords", password),
        ("deletes or replaces ssh keys", keys),
        ("rewrites the configuration of sshd", server),
    ];
    let each: Vec<String> = found
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(what, lines)| {
            let numbers: Vec<String> = lines.iter().map(ToString::to_string).collect();
            let word = if lines.len() == 1 { "line" } else { "lines" };
            format!("{what} ({word} {})", numbers.join(", "))
        })
        .collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// True if the script starts or restarts the ssh server, which changes no credentials but whoever is logged in
/// should know of.
pub(super) fn restarts_ssh(script: &str) -> bool {
    commands(script).any(|(_, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let by_script = words
            .iter()
            .any(|word| word.ends_with("/init.d/ssh") || word.ends_with("/init.d/sshd"));
        let service = words
            .windows(2)
            .any(|pair| pair[0] == "service" && matches!(pair[1], "ssh" | "sshd"));
        let manager =
            words.contains(&"systemctl") && words.iter().any(|word| word.starts_with("ssh"));
        (by_script || service || manager) && !line.contains("status")
    })
}

/// The lines of a script that are no comments, with their numbers from 1.
fn commands(script: &str) -> impl Iterator<Item = (usize, &str)> {
    script
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_found_with_their_lines() {
        let script = "# echo x | chpasswd\nhosts=1\necho 'root:1' | sudo chpasswd\r\nrm -rf ~/.ssh/* && ssh-keygen -q\nsed -i 's/a/b/' /etc/ssh/sshd_config\nsed -i 's/c/d/' /etc/ssh/sshd_config\n";
        assert_eq!(
            changes(script).unwrap(),
            "sets passwords (line 3), deletes or replaces ssh keys (line 4), rewrites the configuration of sshd (lines 5, 6)"
        );
        for one in [
            "passwd root",
            "echo a:b|chpasswd",
            "/usr/sbin/chpasswd < f",
            "rm -r $HOME/.ssh",
            "find ~/.ssh/ -delete",
            "cat key >> /root/.ssh/authorized_keys",
            "echo X >> /etc/ssh/sshd_config",
        ] {
            assert!(changes(one).is_some(), "{one}");
        }
        for none in [
            "",
            "service ssh restart",
            "ssh host true",
            "grep Port /etc/ssh/sshd_config",
            "rm -f ssh.log",
            "getent passwd_file",
            "ls ~/.ssh/",
        ] {
            assert_eq!(changes(none), None, "{none}");
        }
    }

    #[test]
    fn a_restart_is_told_apart() {
        for yes in [
            "service ssh restart",
            "/etc/init.d/ssh start",
            "sudo systemctl restart sshd",
        ] {
            assert!(restarts_ssh(yes), "{yes}");
        }
        for no in [
            "/etc/init.d/ssh status",
            "# service ssh restart",
            "ssh host",
        ] {
            assert!(!restarts_ssh(no), "{no}");
        }
    }
}
