//! The modules of a crate: their files, their names, and what a path leads to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, UseTree};

/// How many names may hand on to each other before a path counts as leading nowhere.
const DEEPEST: usize = 32;

/// One crate, its root module first.
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
    /// The path of each file, the root's first.
    pub(super) files: Vec<String>,
}

pub(super) struct Module {
    pub(super) parent: Option<usize>,
    /// Its place in [`Crate::files`]: that of its parent for a module in braces.
    pub(super) file: usize,
    pub(super) items: Vec<Item>,
    children: HashMap<String, usize>,
    defined: HashSet<String>,
    /// What a `use` gives a name to.
    named: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// What a path leads to.
pub(super) enum Found {
    Module(usize),
    /// An item of this module, and its name.
    Item(usize, String),
}

impl Crate {
    /// Reads the crate that begins with `root`; `read` gives the text of a file, where there is
    /// one.
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

    /// `folder` is where its modules lie.
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

    /// What a path leads to that stands in `module`; `None` where it leads out of the crate.
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
                // A macro may have made it: then it is the module's own.
                name => self
                    .step(*at, name, deepest)
                    .unwrap_or_else(|| Found::Item(*at, name.to_owned())),
            };
        }
        Some(found)
    }

    /// What a name means in a module.
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
            // `use name::…` or `use name;` of another crate would lead here again, and ends.
            return self.find_within(module, path, deepest);
        }
        globs
            .iter()
            .find_map(|path| match self.find_within(module, path, deepest)? {
                Found::Module(from) if from != module => self.step(from, name, deepest),
                _ => None,
            })
    }

    /// Whether the module that the file `outer` begins with has all of the file `inner` inside.
    pub(super) fn holds(&self, outer: usize, inner: usize) -> bool {
        let first = |file| self.modules.iter().position(|module| module.file == file);
        first(outer)
            .zip(first(inner))
            .is_some_and(|(outer, inner)| self.has_inside(outer, inner))
    }

    /// Whether a module is another one, or has it inside.
    pub(super) fn has_inside(&self, outer: usize, inner: usize) -> bool {
        let mut at = Some(inner);
        while at.is_some() && at != Some(outer) {
            at = at.and_then(|module| self.modules[module].parent);
        }
        at.is_some()
    }
}

/// Whether an item is there for tests only.
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

/// `a/../b` is `b`.
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

/// The `use` declarations of a module, those inside its functions among them.
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

    // A module has its own.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// Every path of a `use`, and the name it gets; none for a glob.
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

/// `use a::b::{self}` gives the name `b`.
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
