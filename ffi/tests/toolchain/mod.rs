//! C and C++ compilers of this machine, the library they link with, and programs with a deadline.
//!
//! `cc` has to be there. What else is missing is skipped aloud: a line `skipped: ...`.
//!
//! ```text
//! let program = Build::of(&[manifest("tests/layout.c")]).by("clang").like("c11").program();
//! let answer = finish(program.command().arg("64"), Duration::from_secs(10)).success();
//! ```
//!
//! A test that leaves some of it unused says so where it names this module:
//! `#[expect(dead_code, reason = "...")] mod toolchain;`.

use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// What every piece of C has to compile with.
pub const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];
/// AddressSanitizer and UndefinedBehaviorSanitizer, ending the program at the first fault.
pub const ADDRESS_SANITIZER: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"];
/// What a compiler may take for one file, on a machine that does much else.
const COMPILE_MAX: Duration = Duration::from_secs(120);
/// How often somebody looks whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A path below the folder of this package.
pub fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path in a folder of the running test's own, for files that may go at any time.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// The library that was built by the same call of cargo as the running test. It lies beside the
/// test; the one a folder above may be older.
pub fn library(link: Link) -> PathBuf {
    let name = match link {
        Link::Static => "liballot.a".to_string(),
        Link::Shared => format!("liballot{}", std::env::consts::DLL_SUFFIX),
    };
    let test = std::env::current_exe().unwrap();
    let folders = test.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(&name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {name} beside {} or above", test.display()))
}

/// Those of `names` that can be called; the others are skipped aloud.
pub fn present(names: &[&'static str]) -> Vec<&'static str> {
    let answers = |name: &str| {
        let mut command = Command::new(name);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let here = |name: &&'static str| {
        let here = answers(name);
        if !here {
            println!("skipped: {name} is not on the path");
        }
        here
    };
    names.iter().copied().filter(here).collect()
}

/// The C compilers to try: gcc and clang, as far as they are there, or `cc` alone.
pub fn c_compilers() -> Vec<&'static str> {
    assert!(!present(&["cc"]).is_empty(), "a C compiler `cc` has to be on the path");
    let named = present(&["gcc", "clang"]);
    if named.is_empty() { vec!["cc"] } else { named }
}

/// The C++ compilers to try: g++ and clang++, as far as they are there.
pub fn cpp_compilers() -> Vec<&'static str> {
    present(&["g++", "clang++"])
}

/// Whether programs built by `compiler` with `flags` run here; if not it is skipped aloud.
pub fn works(compiler: &'static str, flags: &[&str]) -> bool {
    let source = scratch(&format!("{}-nothing.c", unique()));
    std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let built = Build::of(&[&source]).by(compiler).with(flags).try_program();
    let ran = built.and_then(|program| {
        let end = finish(&mut program.command(), COMPILE_MAX);
        if end.status.success() { Ok(()) } else { Err(end.to_string()) }
    });
    let _ = std::fs::remove_file(&source);
    if let Err(why) = &ran {
        let why = why.lines().find(|line| !line.is_empty()).unwrap_or_default();
        println!("skipped: {compiler} {} does not work here: {why}", flags.join(" "));
    }
    ran.is_ok()
}

/// How a program gets the library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Static,
    Shared,
}

/// How sources become a program: by `cc` as C11 with the static library, unless said otherwise.
#[derive(Clone, Debug)]
pub struct Build {
    compiler: &'static str,
    standard: String,
    sources: Vec<PathBuf>,
    flags: Vec<String>,
    link: Link,
    library: Option<PathBuf>,
}

impl Build {
    pub fn of(sources: &[impl AsRef<Path>]) -> Self {
        Self {
            compiler: "cc",
            standard: "c11".into(),
            sources: sources.iter().map(|source| source.as_ref().to_path_buf()).collect(),
            flags: WARNINGS.map(String::from).into(),
            link: Link::Static,
            library: None,
        }
    }

    pub fn by(mut self, compiler: &'static str) -> Self {
        self.compiler = compiler;
        self
    }

    /// As what the sources are read: `c99`, `c++17`, whatever they are called.
    pub fn like(mut self, standard: &str) -> Self {
        self.standard = standard.into();
        self
    }

    /// With these flags as well.
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_string()));
        self
    }

    pub fn linked(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// With this static library instead of the one of the running test.
    pub fn against(mut self, library: PathBuf) -> Self {
        self.library = Some(library);
        self
    }

    /// Compiles, and makes nothing of it.
    #[track_caller]
    pub fn check(&self) {
        let mut command = self.compile();
        finish(command.arg("-fsyntax-only"), COMPILE_MAX).success();
    }

    /// Compiles and links; a failure is one of the test.
    #[track_caller]
    pub fn program(&self) -> Program {
        self.try_program().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Compiles and links; a failure is told with the command and what the compiler said.
    pub fn try_program(&self) -> Result<Program, String> {
        let stem = self.sources[0].file_stem().unwrap().to_string_lossy();
        let path = scratch(&format!("{}-{stem}-{}-{}", unique(), self.compiler, self.standard));
        let mut command = self.compile();
        let library = self.library.clone().unwrap_or_else(|| library(self.link));
        command.args(["-x", "none"]).arg(&library);
        match self.link {
            Link::Static => command.args(native_libraries()),
            Link::Shared => {
                command.arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
            }
        };
        command.arg("-o").arg(&path);
        let end = finish(&mut command, COMPILE_MAX);
        if end.status.success() { Ok(Program { path }) } else { Err(end.to_string()) }
    }

    fn compile(&self) -> Command {
        let mut command = Command::new(self.compiler);
        command.arg(format!("-std={}", self.standard)).args(&self.flags);
        command.arg("-I").arg(manifest("../include"));
        let language = if self.standard.contains("++") { "c++" } else { "c" };
        command.args(["-x", language]).args(&self.sources);
        command
    }
}

/// What `cargo rustc -p allotment-ffi --crate-type staticlib -- --print native-static-libs` says.
fn native_libraries() -> &'static [&'static str] {
    if cfg!(target_os = "macos") {
        &["-liconv", "-lSystem", "-lc", "-lm"]
    } else {
        &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
    }
}

/// A part of a file name that nobody else uses meanwhile.
fn unique() -> String {
    static MADE: Mutex<u32> = Mutex::new(0);
    let mut made = MADE.lock().unwrap();
    *made += 1;
    format!("{}-{made}", std::process::id())
}

/// A program that was built. Its file goes with it, unless the test fails: then it is to be looked
/// at.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// Run by a tool such as valgrind: its name and its arguments.
    pub fn under(&self, tool: &[&str]) -> Command {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg(&self.path);
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// How a program ended, and what it wrote.
pub struct End {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
    command: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}: {}", self.err, self.out, self.command, self.status)
    }
}

impl End {
    /// What a program that had to end with 0 wrote to its output.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{self}");
        self.out
    }
}

/// Runs a program to its end. One that takes longer than `within` is ended: a fault of the test,
/// told with what it has written so far. Whatever it has started ends with it.
#[track_caller]
pub fn finish(command: &mut Command, within: Duration) -> End {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = format!("{command:?}");
    command.process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{told}: {error}"));
    let out = reader(child.stdout.take().unwrap());
    let err = reader(child.stderr.take().unwrap());
    let status = wait(&mut child, within);
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let status = status.unwrap_or_else(|| {
        panic!("{err}{out}{told}: did not end within {within:?}");
    });
    End { status, out, err, command: told }
}

/// Reads to the end, so that a program with much to say does not stand still.
fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// How it ended; none if it had to be ended.
fn wait(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= end {
            // SAFETY: no memory is touched. The group is the child's own: nobody has waited for
            // it, so its number is nobody else's.
            unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
            child.wait().unwrap();
            return None;
        }
        thread::sleep(LOOK_EVERY);
    }
}
