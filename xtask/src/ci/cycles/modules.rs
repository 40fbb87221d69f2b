//! The modules of a crate: their files, their names, and the target of a path.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, UseTree};

/// How many re-exports a path may pass through before it counts as leading nowhere.
const DEEPEST: usize = 32;

/// One crate, its root module first.
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
    /// The path of each file, the root first.
    pub(super) files: Vec<String>,
}

pub(super) struct Module {
    pub(super) parent: Option<usize>,
    /// Its index in [`Crate::files`]: that of its parent for an inline module.
    pub(super) file: usize,
    pub(super) items: Vec<Item>,
    children: HashMap<String, usize>,
    defined: HashSet<String>,
    /// The names that `use` declarations define.
    named: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// The target of a path.
pub(super) enum Found {
    Module(usize),
    /// An item of this module, with its name.
    Item(usize, String),
}

impl Crate {
    /// Reads the crate whose root file is `root`; `read` returns the text of a file, if it exists.
    pub(super) fn read(
        root: &Path,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<Self, String> {
        let mut tree = Self {
            modules: Vec::new(),
            files: Vec::new(),
        };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add_file(root, &folder, None, read)?;
        Ok(tree)
    }

    /// `folder` is the folder of its modules.
    fn add_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<usize, String> {
        let shown = path.display();
        let text = read(path).ok_or_else(|| format!("{shown}: no such file"))?;
        let file = syn::parse_file(&text).map_err(|error| format!("{shown}: {error}"))?;
        self.files.push(shown.to_string());
        let own = self.files.len() - 1;
        self.add(file.items, own, path, folder, parent, read)
    }

    fn add(
        &mut self,
        items: Vec<Item>,
        file: usize,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<usize, String> {
        let id = self.modules.len();
        let mut uses = Uses::default();
        items.iter().for_each(|item| uses.visit_item(item));
        self.modules.push(Module {
            parent,
            file,
            items: Vec::new(),
            children: HashMap::new(),
            defined: items.iter().filter_map(name).collect(),
            named: uses.named,
            globs: uses.globs,
        });
        for item in &items {
            let Item::Mod(module) = item else { continue };
            if for_tests(&module.attrs) {
                continue;
            }
            let child = self.add_child(module, file, path, folder, id, read)?;
            let children = &mut self.modules[id].children;
            children.insert(module.ident.to_string(), child);
        }
        self.modules[id].items = items;
        Ok(id)
    }

    fn add_child(
        &mut self,
        module: &ItemMod,
        file: usize,
        path: &Path,
        folder: &Path,
        parent: usize,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<usize, String> {
        let name = module.ident.to_string();
        let inside = folder.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(items.clone(), file, path, &inside, Some(parent), read);
        }
        if let Some(elsewhere) = path_attribute(&module.attrs) {
            let elsewhere = tidy(&path.parent().unwrap_or(Path::new("")).join(elsewhere));
            let folder = elsewhere.parent().unwrap_or(Path::new("")).to_owned();
            return self.add_file(&elsewhere, &folder, Some(parent), read);
        }
        let beside = folder.join(format!("{name}.rs"));
        let within = inside.join("mod.rs");
        let path = if read(&beside).is_some() {
            beside
        } else {
            within
        };
        self.add_file(&path, &inside, Some(parent), read)
    }

    /// Returns the target of a path in `module`; `None` if it leads out of the crate.
    pub(super) fn find(&self, module: usize, path: &[String]) -> Option<Found> {
        self.find_within(module, path, DEEPEST)
    }

    fn find_within(&self, module: usize, path: &[String], deepest: usize) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(module),
            "super" => Found::Module(self.modules[module].parent?),
            name => self.step(module, name, deepest)?,
        };
        while let (Found::Module(at), Some((name, others))) = (&found, rest.split_first()) {
            rest = others;
            found = match name.as_str() {
                "super" => Found::Module(self.modules[*at].parent?),
                "self" => Found::Module(*at),
                // A macro may have defined it: then it belongs to the module.
                name => self
                    .step(*at, name, deepest)
                    .unwrap_or_else(|| Found::Item(*at, name.to_owned())),
            };
        }
        Some(found)
    }

    /// Returns what a name means in a module.
    fn step(&self, module: usize, name: &str, deepest: usize) -> Option<Found> {
        let deepest = deepest.checked_sub(1)?;
        let Module {
            children,
            defined,
            named,
            globs,
            ..
        } = &self.modules[module];
        if let Some(child) = children.get(name) {
            return Some(Found::Module(*child));
        }
        if defined.contains(name) {
            return Some(Found::Item(module, name.to_owned()));
        }
        if let Some(path) = named.get(name) {
            // `use name::…` or `use name;` of another crate would lead here again, so stop.
            return self.find_within(module, path, deepest);
        }
        globs
            .iter()
            .find_map(|path| match self.find_within(module, path, deepest)? {
                Found::Module(from) if from != module => self.step(from, name, deepest),
                _ => None,
            })
    }

    /// Returns whether the module of the file `outer` contains all of the file `inner`.
    pub(super) fn holds(&self, outer: usize, inner: usize) -> bool {
        let first = |file| self.modules.iter().position(|module| module.file == file);
        first(outer)
            .zip(first(inner))
            .is_some_and(|(outer, inner)| self.has_inside(outer, inner))
    }

    /// Returns whether a module is another one, or contains it.
    pub(super) fn has_inside(&self, outer: usize, inner: usize) -> bool {
        let mut at = Some(inner);
        while at.is_some() && at != Some(outer) {
            at = at.and_then(|module| self.modules[module].parent);
        }
        at.is_some()
    }
}

/// Returns whether an item is compiled for tests only.
pub(super) fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let only = |list: &syn::MetaList| list.parse_args::<syn::Ident>();
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .and_then(only)
                .is_ok_and(|word| word == "test")
    })
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Turns `a/../b` into `b`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() != ".." || !tidy.pop() {
            tidy.push(part);
        }
    }
    tidy
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(name.to_string())
}

/// The `use` declarations of a module, including those in its functions.
#[derive(Default)]
struct Uses {
    named: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !for_tests(&item.attrs) {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| match name {
                Some(name) => drop(self.named.insert(name, path)),
                None => self.globs.push(path),
            });
        }
    }

    // A nested module has its own.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// Returns every path of a `use` with its name; a glob has none.
pub(super) fn leaves(
    tree: &UseTree,
    before: &mut Vec<String>,
    see: &mut dyn FnMut(Vec<String>, Option<String>),
) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves(&path.tree, before, see);
            before.pop();
        }
        UseTree::Name(name) => leaf(before, name.ident.to_string(), None, see),
        UseTree::Rename(rename) => {
            let name = rename.rename.to_string();
            leaf(before, rename.ident.to_string(), Some(name), see);
        }
        UseTree::Glob(_) => see(before.clone(), None),
        UseTree::Group(group) => {
            group
                .items
                .iter()
                .for_each(|tree| leaves(tree, before, see));
        }
    }
}

/// `use a::b::{self}` defines the name `b`.
fn leaf(
    before: &[String],
    last: String,
    name: Option<String>,
    see: &mut dyn FnMut(Vec<String>, Option<String>),
) {
    let mut path = before.to_vec();
    if last != "self" || path.is_empty() {
        path.push(last);
    }
    let own = path.last().cloned();
    see(path, name.or(own));
}
