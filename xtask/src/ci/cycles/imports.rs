//! Which file imports what from which other file.

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Macro, Meta, Visibility};

use super::modules::{Crate, Found, for_tests, leaves};

/// `from` imports `name` from `to`: indices in [`Crate::files`].
pub(super) struct Import {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) name: String,
}

/// Returns all imports between files.
pub(super) fn imports(tree: &Crate) -> Vec<Import> {
    let mut imports = Vec::new();
    for (module, own) in tree.modules.iter().enumerate() {
        let mut paths = Paths {
            tree,
            module,
            imports: &mut imports,
        };
        own.items.iter().for_each(|item| paths.visit_item(item));
    }
    imports
}

struct Paths<'a> {
    tree: &'a Crate,
    module: usize,
    imports: &'a mut Vec<Import>,
}

impl Paths<'_> {
    /// A path in code. A module alone is not an import, but an item in it is.
    fn see(&mut self, path: &[String]) {
        if let Some(Found::Item(module, name)) = self.tree.find(self.module, path) {
            self.import(module, name);
        }
    }

    /// A path in an attribute's text: of a function, a type, or a module with functions (`with` of
    /// serde).
    fn see_text(&mut self, text: &str) {
        let path: Vec<_> = text.split("::").map(str::to_owned).collect();
        match self.tree.find(self.module, &path) {
            Some(Found::Item(module, name)) => self.import(module, name),
            Some(Found::Module(module)) => self.import(module, text.to_owned()),
            None => {}
        }
    }

    fn import(&mut self, origin: usize, name: String) {
        let modules = &self.tree.modules;
        let (from, to) = (modules[self.module].file, modules[origin].file);
        if from != to {
            self.imports.push(Import { from, to, name });
        }
    }

    /// Finds the paths in the tokens of a macro or an attribute, and with `texts` also those in
    /// string literals.
    fn see_tokens(&mut self, mut cursor: Cursor<'_>, texts: bool) {
        let mut path: Vec<String> = Vec::new();
        // How many colons follow the path, and whether a dot precedes it.
        let (mut colons, mut member) = (0, false);
        loop {
            if let Some((word, rest)) = cursor.ident() {
                if colons < 2 {
                    self.end(&mut path);
                }
                if !member {
                    path.push(word.to_string());
                }
                (colons, member, cursor) = (0, false, rest);
                continue;
            }
            if let Some((mark, rest)) = cursor.punct() {
                match mark.as_char() {
                    ':' if !path.is_empty() => colons += 1,
                    mark => {
                        self.end(&mut path);
                        (colons, member) = (0, mark == '.');
                    }
                }
                cursor = rest;
                continue;
            }
            self.end(&mut path);
            (colons, member) = (0, false);
            if let Some((inside, _, _, rest)) = cursor.any_group() {
                self.see_tokens(inside, texts);
                cursor = rest;
            } else if let Some((literal, rest)) = cursor.literal() {
                let text = literal.to_string();
                if let Some(text) = text.strip_prefix('"').filter(|_| texts) {
                    self.see_text(text.trim_end_matches('"'));
                }
                cursor = rest;
            } else if let Some((_, rest)) = cursor.lifetime() {
                cursor = rest;
            } else {
                return;
            }
        }
    }

    fn end(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.see(path);
            path.clear();
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            // A module is visited separately, and the body of a `macro_rules!` is code of its
            // callers.
            Item::Mod(_) => return,
            Item::Macro(item) if item.ident.is_some() => return,
            _ => &Vec::new(),
        };
        if !for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    /// A module that re-exports its own content does not use it; the file that imports it does.
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let handed_on = !matches!(item.vis, Visibility::Inherited);
        leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
            let inside = || match self.tree.find(self.module, &path) {
                Some(Found::Item(module, _)) => self.tree.has_inside(self.module, module),
                _ => false,
            };
            if name.is_some() && !(handed_on && inside()) {
                self.see(&path);
            }
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let words = path.segments.iter().map(|part| part.ident.to_string());
            self.see(&words.collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        let tokens = TokenBuffer::new2(call.tokens.clone());
        self.see_tokens(tokens.begin(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            let tokens = TokenBuffer::new2(list.tokens.clone());
            self.see_tokens(tokens.begin(), true);
        }
    }
}
