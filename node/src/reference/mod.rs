//! Reference data: who the centres are, what places are called, how matters are sorted, where else to call.
//!
//! The tables of `fixtures/` are compiled in and parsed once, so a node needs no file to start. An operator who
//! knows better puts a file of the same name into a directory and names it: each file found there replaces the
//! whole built-in table of that name.
//!
//! ```text
//! centres.csv           code,name,parent_code,tier,kind             what a site is called and does
//! divisions.csv         code,name,parent_code,level                 places of today
//! division_changes.csv  year,old_code,old_name,current_code         places of yesterday
//! categories.csv        code,parent_code,name,kind                  domains and their topics
//! redirects.csv         number,name,scope,mode                      hotlines that are not ours
//! holidays.csv          date,kind,name                              days off, and weekends that are worked
//! time_limits.csv       version,business,...,amount,unit,basis      how long a ticket may take
//! legacy_numbers.csv    number,...,former_service,mode,basis      hotlines of before, and what became of them
//! area_codes.csv        area_code,division_code                  where a landline is
//! import_columns.csv    column,field                                how others call the columns of their tables
//! figures.csv           id,kind,zh,en,counts,of,...,basis           what figures mean
//! transfers.csv         step,amount,unit,basis                      how long a hand-over may wait, how often it may come back
//! retention.csv         data,days,basis                             after how long personal data is erased
//! fields.csv            name,zh,en,kind,choices,...                 what a centre asks beside what every ticket has
//! dispatch.csv          business,...,department,site,basis          who handles what
//! forms.csv             form,zh,en,by,row_zh,row_en,values,basis  rows of the quarterly forms
//! tiles.csv             code,name,column,row                        where a province stands in a chart of squares
//! policies.csv          table,tiers,how,key,basis                   who may set which table for whom (see [`crate::policy`])
//! ```
//!
//! Nothing here decides: tier and superior of a site are functions of its name ([`certs::Site`]), and a table that
//! disagrees with the name is refused. A code that no table knows is shown as the code itself.

mod area_codes;
mod calendar;
mod categories;
mod centres;
mod columns;
mod definitions;
mod dispatch;
mod divisions;
mod fields;
mod forms;
mod in_force;
mod legacy;
mod limits;
mod policies;
mod redirects;
mod retention;
mod table;
mod tiles;
mod transfers;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use certs::Site;

pub use area_codes::AreaCodes;
pub use calendar::{Calendar, Exception};
pub use categories::{Categories, Category, CategoryCode, CategoryError, CategoryKind};
pub use centres::{Centre, CentreKind, Centres};
pub use columns::Columns;
pub use definitions::{Definition, Definitions};
pub use dispatch::{Case, DispatchCatalogue, Handler};
pub use divisions::{Division, DivisionCode, DivisionCodeError, Divisions, Level, Place};
pub use fields::{FieldKind, OwnField, OwnFields};
pub use forms::{Counts, Form, FormRow, Forms};
pub use in_force::InForce;
pub use legacy::{Arrangement, LegacyNumber, LegacyNumbers};
pub use limits::{BUILT_IN, Held, Limit, Limits, Matter, Unit};
pub use policies::{How, Policies, Policy};
pub use redirects::{Redirect, RedirectMode, Redirects};
pub use retention::Retention;
pub use table::ReferenceError;
pub use tiles::{Place as TilePlace, Tiles};
pub use transfers::Transfers;
pub use weights::{WeightSet, Weights};

use crate::request::{Failure, FailureKind};
use table::Source;

/// Every table with the text that is compiled in.
const TABLES: [(&str, &str); 19] = [
    ("centres", include_str!("../../../fixtures/centres.csv")),
    ("divisions", include_str!("../../../fixtures/divisions.csv")),
    ("division_changes", include_str!("../../../fixtures/division_changes.csv")),
    ("categories", include_str!("../../../fixtures/categories.csv")),
    ("redirects", include_str!("../../../fixtures/redirects.csv")),
    ("legacy_numbers", include_str!("../../../fixtures/legacy_numbers.csv")),
    ("area_codes", include_str!("../../../fixtures/area_codes.csv")),
    ("holidays", include_str!("../../../fixtures/holidays.csv")),
    ("time_limits", include_str!("../../../fixtures/time_limits.csv")),
    ("import_columns", include_str!("../../../fixtures/import_columns.csv")),
    ("figures", include_str!("../../../fixtures/figures.csv")),
    ("scorecard", include_str!("../../../fixtures/scorecard.csv")),
    ("transfers", include_str!("../../../fixtures/transfers.csv")),
    ("retention", include_str!("../../../fixtures/retention.csv")),
    ("fields", include_str!("../../../fixtures/fields.csv")),
    ("dispatch", include_str!("../../../fixtures/dispatch.csv")),
    ("forms", include_str!("../../../fixtures/forms.csv")),
    ("tiles", include_str!("../../../fixtures/tiles.csv")),
    ("policies", include_str!("../../../fixtures/policies.csv")),
];

/// The folder of a data directory in which tables of its own may lie.
const FOLDER: &str = "reference";

/// All reference tables of one node.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Centres by site.
    pub centres: Centres,
    /// Places by division code, retired ones among them.
    pub divisions: Divisions,
    /// Domains and topics.
    pub categories: Categories,
    /// Other hotlines.
    pub redirects: Redirects,
    /// Hotlines of before.
    pub legacy: LegacyNumbers,
    /// Where landlines are.
    pub area_codes: AreaCodes,
    /// Working days.
    pub calendar: Calendar,
    /// How long tickets may take.
    pub limits: Limits,
    /// How other systems call the columns of their tables.
    pub columns: Columns,
    /// What figures mean.
    pub definitions: Definitions,
    /// Which quarterly forms there are.
    pub forms: Forms,
    /// Where provinces stand in a chart of squares.
    pub tiles: Tiles,
    /// How much each rate counts in the scorecard.
    pub weights: Weights,
    /// How long a hand-over may wait.
    pub transfers: Transfers,
    /// How long personal data is kept.
    pub retention: Retention,
    /// What centres ask beside what every ticket has.
    pub fields: OwnFields,
    /// Who handles what.
    pub dispatch: DispatchCatalogue,
    /// Which site may set which of these tables, and how tiers combine.
    pub policies: Policies,
    /// A fingerprint of the tables that deadlines follow: when it changes they are computed anew.
    pub rules: [u8; 32],
    /// The tables that are files of the operator's own.
    own: BTreeSet<&'static str>,
    /// What all of it was read of.
    sources: BTreeMap<&'static str, Source>,
}

impl Reference {
    /// The tables that were compiled in, parsed at the first use.
    pub fn built_in() -> &'static Arc<Reference> {
        static BUILT_IN: LazyLock<Arc<Reference>> = LazyLock::new(|| {
            Arc::new(Reference::load(None).expect("the compiled-in tables parse: a test reads them"))
        });
        &BUILT_IN
    }

    /// A node's tables: those of the folder `reference` in its data directory, and of every other the compiled-in one.
    pub fn of_node(dir: &Path) -> Result<Reference, Failure> {
        let own = dir.join(FOLDER);
        Reference::load(own.is_dir().then_some(own.as_path())).map_err(|e| {
            Failure::new(FailureKind::Configuration, "the node's reference tables cannot be read")
                .because(e)
                .hint("mend the table, or move it away: then the one that was compiled in counts")
        })
    }

    /// The tables with every file of a known name in `dir` in place of its built-in one. A directory that cannot
    /// be read, or a file in it with an error, fails with file, line and column; nothing is half taken.
    pub fn load(dir: Option<&Path>) -> Result<Reference, ReferenceError> {
        if let Some(dir) = dir {
            std::fs::read_dir(dir).map_err(|e| ReferenceError::Unreadable {
                file: dir.display().to_string(),
                cause: e.to_string(),
            })?;
        }
        let open = |(name, built_in): (&'static str, &'static str)| {
            // Who may set what is the same everywhere, or sites would disagree.
            let dir = dir.filter(|_| name != "policies");
            Ok((name, Source::open(dir, &format!("{name}.csv"), built_in)?))
        };
        let sources: BTreeMap<&'static str, Source> =
            TABLES.into_iter().map(open).collect::<Result<_, ReferenceError>>()?;
        let own = sources.iter().filter(|(_, source)| !source.built_in).map(|(name, _)| *name).collect();
        let of = |name: &str| &sources[name];
        let definitions = Definitions::parse(of("figures"))?;
        let mut reference = Reference {
            weights: Weights::parse(of("scorecard"), &definitions)?,
            centres: Centres::parse(of("centres"))?,
            divisions: Divisions::parse(of("divisions"), of("division_changes"))?,
            categories: Categories::parse(of("categories"))?,
            redirects: Redirects::parse(of("redirects"))?,
            legacy: LegacyNumbers::parse(of("legacy_numbers"))?,
            area_codes: AreaCodes::parse(of("area_codes"))?,
            calendar: Calendar::parse(of("holidays"))?,
            limits: Limits::parse(of("time_limits"))?,
            columns: Columns::parse(of("import_columns"))?,
            transfers: Transfers::parse(of("transfers"))?,
            retention: Retention::parse(of("retention"))?,
            fields: OwnFields::parse(of("fields"))?,
            dispatch: DispatchCatalogue::parse(of("dispatch"))?,
            policies: Policies::parse(of("policies"))?,
            forms: Forms::parse(of("forms"))?,
            tiles: Tiles::parse(of("tiles"))?,
            definitions,
            rules: [0; 32],
            own,
            sources,
        };
        reference.fingerprint();
        Ok(reference)
    }

    /// Puts a table in the place of the one that is there, with all that is read together with it. With an error nothing
    /// is changed. A name that no policy can set is one of a later version.
    pub fn put(&mut self, table: &str, file: String, text: String) -> Result<(), ReferenceError> {
        let unknown =
            |file| ReferenceError::Unreadable { file, cause: "this version has no such table".into() };
        let Some((name, _)) = TABLES.into_iter().find(|(name, _)| *name == table) else {
            return Err(unknown(file));
        };
        let source = Source::given(file.clone(), text)?;
        match name {
            "centres" => self.centres = Centres::parse(&source)?,
            "divisions" => self.divisions = Divisions::parse(&source, &self.sources["division_changes"])?,
            "division_changes" => self.divisions = Divisions::parse(&self.sources["divisions"], &source)?,
            "categories" => self.categories = Categories::parse(&source)?,
            "redirects" => self.redirects = Redirects::parse(&source)?,
            "legacy_numbers" => self.legacy = LegacyNumbers::parse(&source)?,
            "holidays" => self.calendar = Calendar::parse(&source)?,
            "figures" => {
                let definitions = Definitions::parse(&source)?;
                self.weights = Weights::parse(&self.sources["scorecard"], &definitions)?;
                self.definitions = definitions;
            }
            "scorecard" => self.weights = Weights::parse(&source, &self.definitions)?,
            "transfers" => self.transfers = Transfers::parse(&source)?,
            "retention" => self.retention = Retention::parse(&source)?,
            "fields" => self.fields = OwnFields::parse(&source)?,
            "dispatch" => self.dispatch = DispatchCatalogue::parse(&source)?,
            _ => return Err(unknown(file)),
        }
        self.sources.insert(name, source);
        self.fingerprint();
        Ok(())
    }

    /// Puts the limits that sites have set, by site and day, beside those of the table.
    pub fn put_limits(&mut self, held: BTreeMap<Site, Vec<Held>>) {
        self.limits.put_held(held);
        self.fingerprint();
    }

    /// The text of a table as it is in force; of time limits that of the table alone.
    pub fn text(&self, table: &str) -> Option<&str> {
        self.sources.get(table).map(Source::text)
    }

    /// Whether a table is a file of the operator's own.
    pub fn is_own(&self, table: &str) -> bool {
        self.own.contains(table)
    }

    fn fingerprint(&mut self) {
        let mut all = [self.sources["holidays"].hash(), self.sources["time_limits"].hash()].concat();
        all.extend(self.limits.held_bytes());
        self.rules = *blake3::hash(&all).as_bytes();
    }

    /// The centre that serves a place: its own, else that of the nearest place above it. A retired code is served
    /// by whoever serves its successor; a code that nobody knows, by the city or province its digits name. `None`
    /// when no centre is known even there.
    pub fn centre_for(&self, place: DivisionCode) -> Option<Site> {
        let here = match self.divisions.resolve(place) {
            Place::Retired { now: Some(now), .. } => now.code(),
            Place::Current(_) | Place::Retired { now: None, .. } | Place::Unknown => place,
        };
        let above = self.divisions.above(here);
        std::iter::once(here)
            .chain(above)
            .filter_map(|code| code.to_string().parse().ok())
            .find(|site| self.centres.get(*site).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn centre_for(code: &str) -> Option<String> {
        Reference::built_in().centre_for(code.parse().unwrap()).map(|s| s.to_string())
    }

    #[test]
    fn every_place_is_served_by_the_nearest_centre() {
        let check =
            |place: &str, centre: &str| assert_eq!(centre_for(place).as_deref(), Some(centre), "{place}");
        check("370100", "370100");
        check("370102", "370100");
        check("370000", "370000");
        check("110105", "110000"); // a municipality is one centre
        check("469001", "460000"); // a county straight under its province
        check("500112", "500000"); // retired in 2025
        check("370802", "370800"); // retired, successor not known: its digits name the city
        check("370199", "370100"); // in no table
        check("660101", "660000");
        assert_eq!(centre_for("990101"), None);
    }

    #[test]
    fn every_division_has_a_centre() {
        let reference = Reference::built_in();
        assert_eq!(reference.divisions.iter().count(), 3_211);
        for d in reference.divisions.iter() {
            assert!(reference.centre_for(d.code()).is_some(), "{} {}", d.code(), d.name());
        }
    }

    #[test]
    fn an_operator_overrides_one_table_and_keeps_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let csv = "\u{feff}code,name,parent_code,tier,kind\r\n130000,河北省,000000,province,province_desk\r\n130682,定州市,130000,city,call_centre\r\n";
        std::fs::write(dir.path().join("centres.csv"), csv).unwrap();
        let reference = Reference::load(Some(dir.path())).unwrap();
        assert_eq!(reference.centres.name("130682".parse().unwrap()), "定州市");
        assert_eq!(reference.centre_for("130682".parse().unwrap()), "130682".parse().ok());
        assert_eq!(reference.centres.iter().count(), 2, "the whole table is replaced");
        assert_eq!(reference.divisions.iter().count(), 3_211);
        assert_eq!(centre_for("130682").as_deref(), Some("130600"), "the built-in table is untouched");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = Reference::load(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
