//! What `include/allot.h` declares, read as text.

use crate::toolchain::manifest;

/// A function, as it is declared.
pub struct Function {
    pub name: String,
    /// From its type to the semicolon, in one line.
    pub declaration: String,
    /// The words above it, in one line.
    pub comment: String,
}

pub fn text() -> String {
    let path = manifest("../include/allot.h");
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// All functions, in order.
pub fn functions(header: &str) -> Vec<Function> {
    let from = header.find("extern \"C\" {").expect("a part that C++ is to read as C");
    let mut functions = Vec::new();
    let (mut comment, mut declaration) = (String::new(), String::new());
    for line in header[from..].lines().skip_while(|line| !line.starts_with("//")) {
        if line.starts_with('#') {
            break;
        }
        if let Some(words) = line.strip_prefix("//") {
            append(&mut comment, words);
            continue;
        }
        if !line.is_empty() {
            append(&mut declaration, line);
        }
        if line.ends_with(';') {
            let name = declaration.split('(').next().unwrap();
            let name = name.rsplit([' ', '*']).next().unwrap().to_string();
            functions.push(Function {
                name,
                declaration: std::mem::take(&mut declaration),
                comment: std::mem::take(&mut comment),
            });
        }
    }
    functions
}

fn append(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(words.trim());
}

/// All structs that have fields, in order, each with the names of its fields.
pub fn structs(header: &str) -> Vec<(String, Vec<String>)> {
    let mut structs = Vec::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {"));
        let Some(name) = name else { continue };
        let body = lines.by_ref().take_while(|line| !line.starts_with('}'));
        let fields = body.map(str::trim).filter(|line| !line.starts_with("//"));
        structs.push((name.to_string(), fields.map(field_name).collect()));
    }
    structs
}

/// `grants_max` for `uint32_t grants_max[4];`.
fn field_name(line: &str) -> String {
    let name = line.trim_end_matches(';').rsplit([' ', '*']).next().unwrap();
    name.split('[').next().unwrap().to_string()
}

/// All macros that stand for a value, with what they are defined as, in order.
pub fn constants(header: &str) -> Vec<(String, String)> {
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define ALLOT_"));
    let valued = defined.filter_map(|rest| rest.split_once(' '));
    let constants = valued.filter(|(name, _)| !name.contains('(') && !name.ends_with("_INIT"));
    constants.map(|(name, value)| (format!("ALLOT_{name}"), value.to_string())).collect()
}

/// The names of all macros that begin a struct, in order.
pub fn beginnings(header: &str) -> Vec<String> {
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let names = defined.map(|rest| rest.split(' ').next().unwrap());
    names.filter(|name| name.ends_with("_INIT")).map(str::to_string).collect()
}
