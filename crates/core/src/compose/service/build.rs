//! `build`: agents run images and build none. Beside an `image` it is passed over. Alone it stands
//! for the image that compose would build, which every host must have already.

use super::super::{
    reader::Reader,
    report::{Place, quote},
};
use super::image;
use crate::spec::{ContainerSpec, PullPolicy};

/// Settles what a service with `build` runs. `place` is that of the key.
pub(super) fn settle(
    reader: &mut Reader<'_>,
    container: &mut ContainerSpec,
    service: &str,
    has_image: bool,
    place: Place,
) {
    if has_image {
        let message = format!("`build` has no effect: hosts that lack the image {} pull it", quote(&container.image));
        let hint = "`docker compose build --push` builds it and puts it into its registry";
        return reader.report.warning_with_hint(place, message, hint);
    }
    // As compose names it.
    let built = format!("{}-{service}", reader.project.to_lowercase());
    match image::read(&built) {
        Ok(image) => {
            let message = format!(
                "`build` alone stands for the image {}, which every host must have: agents build none, and pull none that was built",
                quote(&image)
            );
            let hint = "run `docker compose build` on each host, or name an `image` and push it";
            reader.report.warning_with_hint(place, message, hint);
            container.image = image;
            container.pull_policy = PullPolicy::Never;
        }
        Err(error) => {
            let message = format!("`build` alone stands for the image that compose would build: {error}");
            reader.report.error_with_hint(place, message, "name an `image`, and push it to a registry");
        }
    }
}
