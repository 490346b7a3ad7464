//! Runs the package's own tests, `tests/suite`, in a separate virtual environment.
//!
//! The tested package is the library that cargo has just built or, if `ATTN_FIQA_WHEEL` names a
//! wheel, that wheel. With `ATTN_FIQA_LONG=1` the memory test makes 20,000 calls; with
//! `ATTN_FIQA_TORCH=1`, and PyTorch in the environment, its `DataLoader` is tested.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use attn_fiqa_testing::skip;

type Failure = Box<dyn Error>;

/// The oldest supported Python.
const OLDEST: &str = "(3, 11)";

#[test]
fn python_suite_passes() -> Result<(), Failure> {
    if !runs(
        Command::new("python3")
            .args(["-c", &format!("import sys; assert sys.version_info >= {OLDEST}")]),
    ) {
        skip(&format!("no python3 of at least {OLDEST}"));
        return Ok(());
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(python) = environment(&package.join("tests/suite/requirements.txt"))? else {
        return Ok(());
    };
    let site = install(package, &python)?;
    // Processes are tested in an interpreter of their own: a fork copies the locks of whatever
    // libraries other tests have loaded.
    let examples = package.join("../../examples/python");
    let others = ["--ignore=test_processes.py", "."].map(Into::into);
    for tests in [[others.as_slice(), &[examples]].concat(), vec!["test_processes.py".into()]] {
        pytest(&python, &site, &package.join("tests/suite"), &tests)?;
    }
    Ok(())
}

/// Runs tests of the suite, given as arguments of pytest.
fn pytest(python: &Path, site: &Path, suite: &Path, tests: &[PathBuf]) -> Result<(), Failure> {
    let options = ["-m", "pytest", "-q", "-rs", "--tb=short", "-p", "no:cacheprovider", "--nbmake"];
    let Output { status, stdout, stderr } = Command::new(python)
        .current_dir(suite)
        .env("PYTHONPATH", site)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(options)
        .args(tests)
        .output()?;
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{stdout}{stderr}");
    // Tests skipped by the suite are counted like every other skipped test.
    for line in stdout.lines().filter(|line| line.starts_with("SKIPPED")) {
        skip(line);
    }
    Ok(())
}

/// The interpreter of an environment with the pinned packages, created if necessary; `None`, with
/// the test recorded as skipped, if the package index cannot be reached.
fn environment(requirements: &Path) -> Result<Option<PathBuf>, Failure> {
    let pinned = fs::read_to_string(requirements)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let record = folder.join("installed.txt");
    if fs::read_to_string(&record).is_ok_and(|installed| installed == pinned) {
        return Ok(Some(python));
    }
    let _ = fs::remove_dir_all(&folder);
    let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).output()?;
    if !made.status.success() {
        skip(&format!("no virtual environment: {}", String::from_utf8_lossy(&made.stderr).trim()));
        return Ok(None);
    }
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "-r"];
    let installed = Command::new(&python).args(pip).arg(requirements).output()?;
    if !installed.status.success() {
        let stderr = String::from_utf8_lossy(&installed.stderr);
        let reason = stderr.lines().find(|line| line.starts_with("ERROR")).unwrap_or("pip failed");
        skip(&format!("the packages of the suite cannot be installed: {reason}"));
        return Ok(None);
    }
    fs::write(record, pinned)?;
    Ok(Some(python))
}

/// Installs the package into a folder of its own, for `PYTHONPATH`.
fn install(package: &Path, python: &Path) -> Result<PathBuf, Failure> {
    let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site");
    let _ = fs::remove_dir_all(&site);
    if let Some(wheel) = env::var_os("ATTN_FIQA_WHEEL") {
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
        let installed = Command::new(python).args(pip).arg(&site).arg(wheel).output()?;
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        return Ok(site);
    }
    let module = site.join("attn_fiqa");
    copy_sources(&package.join("python/attn_fiqa"), &module)?;
    let library = library()?;
    let native = module.join(if cfg!(windows) { "_native.pyd" } else { "_native.abi3.so" });
    // With its debug information the library is large.
    if fs::hard_link(&library, &native).is_err() {
        fs::copy(&library, &native)?;
    }
    Ok(site)
}

/// Copies the sources of the package and of the packages in it.
fn copy_sources(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), copy)?;
        } else if entry.file_name() != "__pycache__" {
            copy_sources(&entry.path(), &copy)?;
        }
    }
    Ok(())
}

/// The library that cargo built beside this test.
fn library() -> Result<PathBuf, Failure> {
    let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let name = format!("{prefix}attn_fiqa_python{suffix}");
    let program = env::current_exe()?;
    let folders = program.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(&name)).find(|path| path.exists());
    Ok(found.ok_or_else(|| format!("no {name} beside {}", program.display()))?)
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
