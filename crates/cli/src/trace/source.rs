//! Opening a trace: plain, `.gz` or `.xz`, read as lines or as fixed records. Every failure names
//! the file, and the line or record where there is one.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::failure::CliError;
use crate::replay::progress::Progress;

/// Bytes read ahead of the decoder.
const BUFFER_BYTES: usize = 1 << 17;

/// An open trace file and how far it has been read.
pub struct Source {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    /// The number of the last line or record, counted from 1.
    at: u64,
    part: &'static str,
}

impl Source {
    /// Opens `path` for reading; its ending says how it is packed.
    pub fn open(path: &Path, progress: &Progress) -> Result<Self, CliError> {
        let file = File::open(path).map_err(|cause| CliError::file(path, &cause))?;
        let about = file.metadata().map_err(|cause| CliError::file(path, &cause))?;
        if about.is_dir() {
            return Err(CliError::file(path, &ErrorKind::IsADirectory.into()));
        }
        let packed = BufReader::new(progress.reading(path, about.len(), file));
        let unpacked: Box<dyn Read> = match path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Box::new(MultiGzDecoder::new(packed)),
            Some("xz") => Box::new(XzReader::new(packed, true)),
            _ => Box::new(packed),
        };
        let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked));
        Ok(Self { path: path.to_path_buf(), reader, at: 0, part: "line" })
    }

    /// Reads the next line into `line`, without its end; false at the end of the file.
    pub fn line(&mut self, line: &mut String) -> Result<bool, CliError> {
        line.clear();
        self.at += 1;
        let read = self.reader.read_line(line).map_err(|cause| self.unreadable(&cause))?;
        while line.ends_with(['\n', '\r']) {
            line.pop();
        }
        Ok(read > 0)
    }

    /// Reads the next record of fixed size; false at the end of the file.
    pub fn record(&mut self, record: &mut [u8]) -> Result<bool, CliError> {
        self.part = "record";
        self.at += 1;
        let mut filled = 0;
        while filled < record.len() {
            match self.reader.read(&mut record[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.unreadable(&cause)),
            }
        }
        if filled > 0 && filled < record.len() {
            let expected = record.len();
            let cut = format!("is cut short: {filled} of {expected} bytes");
            return Err(self.fault(&format!("{cut}; check --format and fetch the file again")));
        }
        Ok(filled > 0)
    }

    /// A failure at the line or record read last.
    pub fn fault(&self, what: &str) -> CliError {
        CliError::new(format!("{}: {} {} {what}", self.path.display(), self.part, self.at))
    }

    /// A failure of the whole file.
    pub fn fault_of_file(&self, what: &str) -> CliError {
        CliError::new(format!("{}: {what}", self.path.display()))
    }

    fn unreadable(&self, cause: &std::io::Error) -> CliError {
        let packing = match self.path.extension().and_then(|end| end.to_str()) {
            Some("gz") => "gzip",
            Some("xz") => "xz",
            _ if cause.kind() == ErrorKind::InvalidData => {
                return self.fault("is not text; check --format");
            }
            _ => return CliError::file(&self.path, cause),
        };
        if cause.to_string().contains("UTF-8") {
            return self.fault("is not text; check --format");
        }
        self.fault_of_file(&format!(
            "the {packing} data is torn or damaged near {} {}; fetch the file again",
            self.part, self.at
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("allot-source-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn lines_come_without_their_ends() {
        let path = written("lines", b"one\r\ntwo\nthree");
        let mut source = Source::open(&path, &Progress::hidden()).unwrap();
        let mut line = String::new();
        let mut lines = Vec::new();
        while source.line(&mut line).unwrap() {
            lines.push(line.clone());
        }
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_record_cut_short_is_named_by_its_number() {
        let path = written("records", &[1, 2, 3, 4, 5, 6]);
        let mut source = Source::open(&path, &Progress::hidden()).unwrap();
        let mut record = [0; 4];
        assert!(source.record(&mut record).unwrap());
        let failure = source.record(&mut record).unwrap_err().to_string();
        assert!(failure.contains("record 2 is cut short: 2 of 4 bytes"), "{failure}");
    }
}
