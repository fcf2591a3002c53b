//! Every page that a user reads, run: one test a page. A block that is neither run nor marked fails it.

use libtest_mimic::{Arguments, Trial};
use std::path::{Path, PathBuf};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let trials = pages(&root).into_iter().map(|page| {
        let name = page.strip_prefix(&root).unwrap_or(&page).display().to_string();
        Trial::test(name, move || {
            tests::pages::run(&page);
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// What a reader meets at the root, and what stands in docs/.
fn pages(root: &Path) -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root.join("docs")).expect("docs/ is there");
    let docs = docs.map(|entry| entry.expect("docs/ can be read").path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    let at_root = ["README", "CONTRIBUTING", "ARCHITECTURE", "SECURITY", "SPECIFICATION", "bench/REPORT"];
    pages.extend(at_root.map(|page| root.join(page).with_extension("md")));
    pages.sort();
    pages
}
