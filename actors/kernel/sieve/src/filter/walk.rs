//! One walk over an expression: what it speaks of, what it can cost, and what it demands.

use std::collections::HashMap;
use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use glint::refusal::Refusal;
use regex::{Regex, RegexBuilder};

use super::{Facts, MAX_PARTS, Scope, Size, refusal};

/// What the names have, for a clear error instead of an expression that is never true.
const GLINT: [&str; 8] = [
    "id", "source", "module", "phase", "content", "toneform", "type", "data",
];
const EVENT: [&str; 9] = [
    "name", "topic", "cursor", "seq", "time", "id", "source", "phase", "data",
];
const STATE: [&str; 4] = ["phase", "progress", "usage", "climate"];
/// Types that can be named, as in `type(x) == string`.
const TYPES: [&str; 9] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
];
/// Functions that are no operators. `matches` is ours: its pattern is compiled once.
const FUNCTIONS: [&str; 12] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "type",
    "dyn",
];
/// Largest compiled pattern in bytes.
const PATTERN_BYTES: usize = 1 << 18;

/// Patterns of `matches`, by their text.
pub(super) type Patterns = Arc<HashMap<String, Regex>>;

/// What the walk found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) weight: Weight,
    pub(super) demand: Demand,
    pub(super) patterns: Option<Patterns>,
}

/// What an expression can cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    parts: u32,
    adds: u32,
    loops: u32,
    /// Items of the longest list that is written out.
    longest: u32,
}

/// Words that an event must have for an expression to be true. Nothing is demanded where nothing could be read off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// The source, to the letter.
    pub source: Option<Box<str>>,
    /// The phase, to the letter.
    pub phase: Option<Box<str>>,
}

impl Weight {
    /// The steps that one evaluation takes at worst: every part, as often as loops can come to it, each time on all of
    /// the text that additions can have made, and with a copy of what a loop hands out.
    pub(super) fn steps(self, facts: &Facts<'_>) -> u64 {
        let (parts, adds) = (u64::from(self.parts), u64::from(self.adds) + 1);
        let kib = 1 + facts.bytes() as u64 / 1024;
        let flat = parts.saturating_mul(adds).saturating_mul(kib);
        if self.loops == 0 {
            return flat;
        }
        let Size {
            values, longest, ..
        } = facts.size();
        let width = (longest as u64).max(u64::from(self.longest));
        let width = width.max(1).saturating_mul(adds);
        let copies = 1 + values as u64 / 16;
        flat.saturating_mul(width.saturating_pow(self.loops))
            .saturating_mul(copies)
    }
}

/// Looks through an expression.
pub(super) fn check(root: &IdedExpr, scope: Scope) -> Result<Found, Refusal> {
    if !may_be_bool(root) {
        let detail =
            "the expression is not true or false; compare something, as in glint.source == \"a\"";
        return Err(refusal("filter_not_boolean", detail));
    }
    let mut walk = Walk {
        scope,
        locals: Vec::new(),
        parts: 0,
        adds: 0,
        deepest: 0,
        longest: 0,
        patterns: HashMap::new(),
    };
    walk.expr(root, 0)?;
    let mut demand = Demand::default();
    demanded(root, &mut demand);
    Ok(Found {
        weight: Weight {
            parts: walk.parts,
            adds: walk.adds,
            loops: walk.deepest,
            longest: walk.longest,
        },
        demand,
        patterns: (!walk.patterns.is_empty()).then(|| Arc::new(walk.patterns)),
    })
}

struct Walk<'e> {
    scope: Scope,
    locals: Vec<&'e str>,
    parts: u32,
    adds: u32,
    deepest: u32,
    longest: u32,
    patterns: HashMap<String, Regex>,
}

impl<'e> Walk<'e> {
    fn expr(&mut self, expr: &'e IdedExpr, loops: u32) -> Result<(), Refusal> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            let detail =
                format!("the expression has more than {MAX_PARTS} parts; say less at once");
            return Err(refusal("filter_too_large", detail));
        }
        match &expr.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => {
                self.field(&select.operand, &select.field)?;
                self.expr(&select.operand, loops)
            }
            Expr::Call(call) => self.call(call, loops),
            Expr::List(list) => {
                self.written(list.elements.len());
                let mut items = list.elements.iter();
                items.try_for_each(|item| self.expr(item, loops))
            }
            Expr::Map(map) => {
                self.written(map.entries.len());
                map.entries.iter().try_for_each(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        self.expr(&entry.key, loops)?;
                        self.expr(&entry.value, loops)
                    }
                    EntryExpr::StructField(field) => self.expr(&field.value, loops),
                })
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, loops),
            Expr::Struct(_) | Expr::Unspecified => {
                let detail = "structures are not known here; compare members one by one";
                Err(refusal("filter_malformed", detail))
            }
        }
    }

    fn written(&mut self, items: usize) {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.longest = self.longest.max(items);
    }

    fn ident(&self, name: &str) -> Result<(), Refusal> {
        let word = name.trim_start_matches('.');
        if name.starts_with('@') || self.locals.contains(&name) || TYPES.contains(&word) {
            return Ok(());
        }
        match (word, self.scope) {
            ("glint" | "event", _) | ("state", Scope::Rule) => Ok(()),
            ("state", Scope::Stream) => {
                let detail = "state is known to rules only: a stream and its replay must agree; use event.phase, or event.data of a phase_update";
                Err(refusal("filter_unknown_word", detail))
            }
            _ => {
                let known = match self.scope {
                    Scope::Stream => "glint, event",
                    Scope::Rule => "glint, event, state",
                };
                let detail = format!("{word:?} is not known; one of: {known}");
                Err(refusal("filter_unknown_word", detail))
            }
        }
    }

    fn field(&self, operand: &IdedExpr, field: &str) -> Result<(), Refusal> {
        let Expr::Ident(name) = &operand.expr else {
            return Ok(());
        };
        if self.locals.contains(&name.as_str()) {
            return Ok(());
        }
        let known: &[&str] = match name.as_str() {
            "glint" => &GLINT,
            "event" => &EVENT,
            "state" => &STATE,
            _ => return Ok(()),
        };
        if known.contains(&field) {
            return Ok(());
        }
        let detail = format!(
            "{name} has no {field:?}; one of: {}; other members of a payload are below data",
            known.join(", ")
        );
        Err(refusal("filter_unknown_word", detail))
    }

    fn call(&mut self, call: &'e CallExpr, loops: u32) -> Result<(), Refusal> {
        let name = call.func_name.as_str();
        let is_operator = name.starts_with(['_', '!', '-', '@']);
        if !is_operator && !FUNCTIONS.contains(&name) {
            let detail = format!(
                "{name:?} is no function here; one of: {}, has, all, exists, exists_one, map, filter",
                FUNCTIONS.join(", ")
            );
            return Err(refusal("filter_unknown_word", detail));
        }
        if name == operators::ADD {
            self.adds += 1;
        }
        if name == "matches" {
            self.pattern(call)?;
        }
        if let Some(target) = &call.target {
            self.expr(target, loops)?;
        }
        call.args
            .iter()
            .try_for_each(|argument| self.expr(argument, loops))
    }

    fn pattern(&mut self, call: &CallExpr) -> Result<(), Refusal> {
        let literal = match call.args.last().map(|argument| &argument.expr) {
            Some(Expr::Literal(LiteralValue::String(text))) => text.inner(),
            _ => {
                let detail = "the pattern of matches is written out in quotes, not computed";
                return Err(refusal("filter_malformed", detail));
            }
        };
        let pattern = RegexBuilder::new(literal)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .build();
        let pattern = pattern.map_err(|err| {
            let detail = format!("the pattern of matches is no regular expression: {err}");
            refusal("filter_malformed", detail)
        })?;
        self.patterns.insert(literal.to_owned(), pattern);
        Ok(())
    }

    fn comprehension(
        &mut self,
        comprehension: &'e ComprehensionExpr,
        loops: u32,
    ) -> Result<(), Refusal> {
        self.expr(&comprehension.iter_range, loops)?;
        self.expr(&comprehension.accu_init, loops)?;
        let within = loops + 1;
        self.deepest = self.deepest.max(within);
        let before = self.locals.len();
        self.locals.push(&comprehension.iter_var);
        self.locals.push(&comprehension.accu_var);
        self.locals.extend(comprehension.iter_var2.as_deref());
        self.expr(&comprehension.loop_cond, within)?;
        self.expr(&comprehension.loop_step, within)?;
        self.expr(&comprehension.result, within)?;
        self.locals.truncate(before);
        Ok(())
    }
}

/// Tells whether an expression can be true or false at all.
fn may_be_bool(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Ident(_) | Expr::Select(_) => true,
        Expr::Call(call) => match call.func_name.as_str() {
            operators::CONDITIONAL => call.args.iter().skip(1).all(may_be_bool),
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE
            | "size"
            | "int"
            | "uint"
            | "double"
            | "string"
            | "type" => false,
            _ => true,
        },
        Expr::Comprehension(comprehension) => {
            !matches!(comprehension.accu_init.expr, Expr::List(_))
        }
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => false,
    }
}

/// Notes the words that must be there: equalities with a literal, joined by `&&` from the top.
fn demanded(expr: &IdedExpr, demand: &mut Demand) {
    let Expr::Call(call) = &expr.expr else {
        return;
    };
    let [left, right] = call.args.as_slice() else {
        return;
    };
    match call.func_name.as_str() {
        operators::LOGICAL_AND => {
            demanded(left, demand);
            demanded(right, demand);
        }
        operators::EQUALS => {
            let (path, literal) = match (literal(left), literal(right)) {
                (None, Some(literal)) => (left, literal),
                (Some(literal), None) => (right, literal),
                _ => return,
            };
            let Expr::Select(select) = &path.expr else {
                return;
            };
            let Expr::Ident(root) = &select.operand.expr else {
                return;
            };
            match (root.as_str(), select.field.as_str()) {
                ("glint", "source" | "module") | ("event", "source") => {
                    demand.source = Some(literal.into());
                }
                ("glint" | "event", "phase") => demand.phase = Some(literal.into()),
                _ => {}
            }
        }
        _ => {}
    }
}

fn literal(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
