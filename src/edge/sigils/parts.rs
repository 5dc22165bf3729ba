//! Multipart bodies, as far as uploads need them. The body is in memory and within its limit when it is read.

use memchr::memmem;

/// Most parts with a file name in one body, and most without.
const FILES_MAX: usize = 1000;
/// Largest part without a file name.
const FIELD_MAX_BYTES: usize = 1024 * 1024;
/// Largest head of a part.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// A part with a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File<'b> {
    pub(super) name: String,
    /// As it was sent, if it was.
    pub(super) media_type: Option<String>,
    pub(super) body: &'b [u8],
}

/// Returns the boundary that a content type names; nothing, if it names none.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (_, parameters) = content_type.split_once(';')?;
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// Returns the files of a body. One that breaks off has the parts that are whole.
///
/// # Errors
/// With what the existing service says.
pub(super) fn files<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<File<'b>>, String> {
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let opening = &delimiter.as_bytes()[2..];
    let mut files = Vec::new();
    let mut fields = 0;
    let begin = body
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(body.len());
    let Some(mut rest) = body[begin..].strip_prefix(opening) else {
        let broke_off = opening.starts_with(&body[begin..]);
        return if broke_off {
            Ok(files)
        } else {
            Err("Invalid multipart data.".to_owned())
        };
    };
    loop {
        // After a delimiter: two dashes end the body, a line break begins a part, less is the end of what came.
        let Some(part) = rest.strip_prefix(b"\r\n") else {
            let ended = rest.starts_with(b"--") || b"\r\n".starts_with(rest) || rest == b"-";
            return if ended {
                Ok(files)
            } else {
                Err("Invalid multipart data.".to_owned())
            };
        };
        let Some(head_end) = memmem::find(&part[..part.len().min(HEAD_MAX_BYTES)], b"\r\n\r\n")
        else {
            let fits = part.len() < HEAD_MAX_BYTES;
            return if fits {
                Ok(files)
            } else {
                Err("Invalid multipart data.".to_owned())
            };
        };
        // A part without a body has its delimiter right after the head.
        let from = &part[head_end + 2..];
        let Some(end) = finder.find(from) else {
            return Ok(files);
        };
        let content = from[..end].strip_prefix(b"\r\n").unwrap_or_default();
        rest = &from[end + delimiter.len()..];
        match read_head(&part[..head_end])? {
            (Some(name), media_type) => files.push(File {
                name,
                media_type,
                body: content,
            }),
            (None, _) if content.len() > FIELD_MAX_BYTES => {
                return Err("Part exceeded maximum size of 1024KB.".to_owned());
            }
            (None, _) => fields += 1,
        }
        if files.len() > FILES_MAX {
            return Err(format!(
                "Too many files. Maximum number of files is {FILES_MAX}."
            ));
        }
        if fields > FILES_MAX {
            return Err(format!(
                "Too many fields. Maximum number of fields is {FILES_MAX}."
            ));
        }
    }
}

/// Reads the head of a part: the file name, if it has one, and the content type.
fn read_head(head: &[u8]) -> Result<(Option<String>, Option<String>), String> {
    let head = String::from_utf8_lossy(head);
    let (mut name, mut file_name, mut media_type) = (None, None, None);
    for line in head.split("\r\n") {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if key.eq_ignore_ascii_case("content-disposition") {
            let parameters = value
                .split_once(';')
                .map_or("", |(_, parameters)| parameters);
            name = parameter(parameters, "name");
            file_name = parameter(parameters, "filename");
        } else if key.eq_ignore_ascii_case("content-type") {
            media_type = Some(value.trim().to_owned());
        }
    }
    if name.is_none() {
        return Err("The Content-Disposition header field \"name\" must be provided.".to_owned());
    }
    Ok((file_name, media_type))
}

/// Finds a parameter, quoted or not.
fn parameter(mut parameters: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, rest) = parameters.split_once('=')?;
        let (value, after) = value(rest.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        parameters = after.split_once(';')?.1;
    }
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, ch)) = chars.next() {
        match ch {
            '"' => return (value, &quoted[at + 1..]),
            // Browsers escape quotes; paths of old ones have backslashes that are none.
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|(_, ch)| ch))
            }
            ch => value.push(ch),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Result<Vec<(String, String)>, String> {
        let files = files(body.as_bytes(), "b")?;
        let text = |file: &File<'_>| String::from_utf8_lossy(file.body).into_owned();
        Ok(files
            .iter()
            .map(|file| (file.name.clone(), text(file)))
            .collect())
    }

    fn part(head: &str, body: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    }

    #[test]
    fn parts_with_a_file_name_are_files() {
        let body = [
            part("name=\"a\"; filename=\"x;\\\"y.json\"", "[1]"),
            part("name=b", "ignored"),
            part("filename=\"\"; name=c", ""),
            "--b--\r\n".to_owned(),
        ];
        let files = names(&body.concat()).unwrap();
        assert_eq!(
            files,
            [
                ("x;\"y.json".to_owned(), "[1]".to_owned()),
                (String::new(), String::new())
            ]
        );
    }

    #[test]
    fn what_breaks_off_has_the_parts_that_are_whole() {
        let first = part("name=a; filename=x", "[]");
        let second = part("name=a; filename=y", "[]");
        let body = format!("{first}{second}--b--");
        for end in 0..body.len() {
            let files = names(&body[..end]).unwrap();
            assert!(files.len() <= 2, "{end}");
        }
        assert_eq!(names(&body[..first.len() - 2]).unwrap().len(), 0);
        assert_eq!(names(&format!("{first}--b")).unwrap().len(), 1);
        assert_eq!(names("").unwrap().len(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_as_the_existing_service_tells_it() {
        assert_eq!(names("{}").unwrap_err(), "Invalid multipart data.");
        assert_eq!(names("--bx").unwrap_err(), "Invalid multipart data.");
        let nameless = part("filename=x", "") + "--b--";
        assert!(
            names(&nameless)
                .unwrap_err()
                .contains("\"name\" must be provided")
        );
        let field = part("name=a", &"x".repeat(FIELD_MAX_BYTES + 1)) + "--b--";
        assert_eq!(
            names(&field).unwrap_err(),
            "Part exceeded maximum size of 1024KB."
        );
        let many = part("name=a; filename=x", "").repeat(FILES_MAX + 1) + "--b--";
        assert_eq!(
            names(&many).unwrap_err(),
            "Too many files. Maximum number of files is 1000."
        );
    }

    #[test]
    fn a_boundary_may_be_quoted() {
        assert_eq!(
            boundary("multipart/form-data; charset=x; boundary=\"a b\"").as_deref(),
            Some("a b")
        );
        assert_eq!(
            boundary("multipart/form-data; BOUNDARY=ab").as_deref(),
            Some("ab")
        );
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
