# shellcheck shell=bash
# Makes container images out of what this machine has, without a registry and without an engine: an
# archive as `docker save` writes it, which `podman load` takes too. The same files give the same
# bytes, so an image has one id on every node. Sourced by scripts/testbed.
# shellcheck disable=SC2154 # what is not set here is in common.sh and lib.sh

images="$root/target/testbed/images"

# image NAME: the archive of flagperf-test/NAME:1, in `archive`; made if it is not there yet.
image() {
    local name="$1" key lock
    [[ "$name" == busybox || "$name" == debian ]] || misuse "there is no image $name, only busybox, debian"
    # Another version of what goes in is another archive.
    key="$({ cat "$parts/image.sh" && "list_$name"; } | sha256sum)"
    archive="$images/$name-${key:0:16}.tar"
    [[ ! -e "$archive" ]] || return 0
    mkdir -p "$images"
    exec {lock}>"$images/lock"
    flock "$lock"
    # Somebody else may have made it meanwhile.
    [[ -e "$archive" ]] || make_image "$name"
    exec {lock}>&-
}

make_image() {
    local work layer config
    rm -f "$images/$1"-*.tar
    work="$(mktemp -d "$images/work.XXXXXX")"
    # Should this be interrupted, the next one clears up.
    find "$images" -maxdepth 1 -name 'work.*' ! -path "$work" -exec rm -rf {} +
    mkdir -m 755 "$work/root" "$work/out"
    "fill_$1" "$work/root"
    tar -C "$work/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        -cf "$work/out/layer.tar" .
    layer="$(sha256sum "$work/out/layer.tar")"
    cat >"$work/config" <<-END
	{"architecture": "$(dpkg --print-architecture)", "os": "linux", "created": "1970-01-01T00:00:00Z",
	 "config": {"Cmd": ["/bin/sh"], "Env": ["LANG=C.UTF-8",
	  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
	 "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "scripts/testbed"}],
	 "rootfs": {"type": "layers", "diff_ids": ["sha256:${layer%% *}"]}}
	END
    config="$(sha256sum "$work/config")"
    config="${config%% *}.json"
    mv "$work/config" "$work/out/$config"
    printf '[{"Config": "%s", "RepoTags": ["flagperf-test/%s:1"], "Layers": ["layer.tar"]}]\n' \
        "$config" "$1" >"$work/out/manifest.json"
    tar -C "$work/out" -cf "$work/archive" manifest.json "$config" layer.tar
    mv "$work/archive" "$archive"
    rm -rf "$work"
}

# base_files ROOT: what every image needs, whoever is in it.
base_files() {
    mkdir -p "$1"/{dev,etc,proc,root,run,sys,tmp,var/tmp,work}
    chmod 1777 "$1/tmp" "$1/var/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$1/etc/nsswitch.conf"
}

# programs_of_busybox: busybox and bash, and the libraries that bash and programs built on this
# machine are linked with, as paths.
programs_of_busybox() {
    need busybox bash ldd
    type -P busybox bash
    # Rust's debug builds want the last two.
    {
        ldd "$(type -P bash)"
        # Mostly linked statically, and then this fails.
        ldd "$(type -P busybox)" 2>/dev/null || true
        ldconfig -p | grep -E 'lib(gcc_s|m)\.so\.[0-9]+ \(libc6,(x86-64|AArch64)'
    } | grep -oE '/[^ ]+' | sort -u
}

list_busybox() { programs_of_busybox | xargs stat -L -c '%n %s %Y'; }

fill_busybox() {
    local path applet
    mkdir -p "$1"/{bin,usr/local/bin}
    ln -s bin "$1/sbin"
    ln -s ../bin "$1/usr/bin"
    ln -s ../bin "$1/usr/sbin"
    while IFS= read -r path; do
        case "$path" in
        */bin/*) cp -L "$path" "$1/bin/" ;;
        # The loader, and the libraries where it looks for them.
        *) mkdir -p "$1${path%/*}" && cp -L "$path" "$1$path" ;;
        esac
    done < <(programs_of_busybox)
    while IFS= read -r applet; do
        [[ -e "$1/bin/$applet" ]] || ln -s busybox "$1/bin/$applet"
    done < <(busybox --list)
    base_files "$1"
}

# The larger one: Debian's packages as this machine has them, with all they depend on.
list_debian() {
    need dpkg-query apt-cache
    local packages
    mapfile -t packages < <(apt-cache depends --recurse --installed --no-recommends --no-suggests \
        --no-conflicts --no-breaks --no-replaces --no-enhances \
        base-files base-passwd bash coreutils dash findutils gawk grep gzip hostname iproute2 \
        mawk procps python3 python3-venv sed tar util-linux | grep '^[a-z0-9]' | sort -u)
    # It also complains of what only is one of several choices, and is not here.
    { dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true; } |
        awk '$3 == "installed" { print $1, $2 }'
}

fill_debian() {
    local packages folder path
    mapfile -t packages < <(list_debian | cut -d ' ' -f 1)
    # Folders that are links into /usr on this machine are so in the image.
    for folder in bin lib lib32 lib64 libx32 sbin; do
        [[ ! -L "/$folder" ]] || ln -s "$(readlink "/$folder")" "$1/$folder"
    done
    # A package says /bin/x for what really is /usr/bin/x; some files were deleted on purpose.
    {
        dpkg-query -L "${packages[@]}"
        find /etc/alternatives
        echo /usr/bin/awk
    } | grep -vE '^/usr/share/(bash-completion|bug|doc|info|lintian|locale|man|perl5|pixmaps)/|/(gconv|perl5?)/|^/(\.|bin|lib|lib32|lib64|libx32|sbin)$' |
        sed -E 's,^/(bin|lib|lib32|lib64|libx32|sbin)/,/usr/\1/,; s,^/,,' | sort -u |
        while IFS= read -r path; do
            [[ ! -e "/$path" && ! -L "/$path" ]] || printf '%s\n' "$path"
        done >"$1.files"
    tar -C / --no-recursion -cf - -T "$1.files" | tar -C "$1" -xf -
    base_files "$1"
}
