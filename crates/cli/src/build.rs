//! The build of this program, as its build script found it.

use tickmesh_core::build::Build;

/// Version and, if it is known, commit: `0.1.0+a7154bc98ea3`.
pub(crate) const BUILD: &str = env!("TICKMESH_BUILD");

/// Returns the build of this program.
pub(crate) fn build() -> Build {
    Build::new(BUILD)
}
