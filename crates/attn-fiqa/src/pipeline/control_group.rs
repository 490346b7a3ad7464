//! The memory limit that Linux control groups set for this process.

use std::fs;
use std::path::Path;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The smallest memory limit, in bytes, of this process's control group and the groups around it.
pub(super) fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_of(&groups, Path::new(MOUNT))
}

/// Same, with the text of `/proc/self/cgroup` and the mount point. Each line is
/// `hierarchy:controllers:path`; version 2 has no controllers there. In a container the path may be
/// one of the host that does not exist here: then the root of the mount is the container's group.
fn limit_of(groups: &str, mount: &Path) -> Option<u64> {
    let named = groups.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (folder, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        Some((folder, path, file))
    });
    let roots =
        [(mount.to_owned(), "", "memory.max"), (mount.join("memory"), "", "memory.limit_in_bytes")];
    let limits = named.chain(roots).filter_map(|(folder, path, file)| {
        let path = Path::new(path.trim_start_matches('/'));
        let groups = path.ancestors().map(|group| folder.join(group).join(file));
        // A group without a limit has the text "max", which is not a number.
        groups.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mount with these files.
    fn mount(files: &[(&str, &str)]) -> tempfile::TempDir {
        let mount = tempfile::tempdir().expect("a folder");
        for (file, text) in files {
            let file = mount.path().join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        }
        mount
    }

    #[test]
    fn smallest_limit_of_nested_groups_applies() {
        let mount = mount(&[
            ("system.slice/attn-fiqa.service/memory.max", "2147483648\n"),
            ("system.slice/memory.max", "max\n"),
            ("system.slice/other.service/memory.max", "4096\n"),
        ]);
        let limit = |groups| limit_of(groups, mount.path());
        assert_eq!(limit("0::/system.slice/attn-fiqa.service\n"), Some(2 << 30));
        assert_eq!(limit("0::/system.slice/attn-fiqa.service/worker\n"), Some(2 << 30));
        assert_eq!(limit("0::/system.slice\n"), None);
        assert_eq!(limit(""), None);
        fs::write(mount.path().join("system.slice/memory.max"), "1024\n").expect("a file");
        assert_eq!(limit("0::/system.slice/attn-fiqa.service\n"), Some(1024));
    }

    #[test]
    fn root_of_the_mount_applies_in_a_container() {
        let own = mount(&[("memory.max", "1048576\n")]);
        assert_eq!(limit_of("0::/\n", own.path()), Some(1 << 20));
        assert_eq!(limit_of("0::/docker/of-the-host\n", own.path()), Some(1 << 20));
    }

    #[test]
    fn version_1_has_a_hierarchy_for_memory() {
        let files = [
            ("memory/job/memory.limit_in_bytes", "3145728\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/job/memory.limit_in_bytes", "1\n"),
        ];
        let mount = mount(&files);
        let groups = "5:cpu,cpuacct:/job\n4:hugetlb,memory:/job\n1:name=systemd:/job\n0::/\n";
        assert_eq!(limit_of(groups, mount.path()), Some(3 << 20));
    }
}
