//! What holds of every selector, selection and list of rules.

use proptest::{prelude::*, sample::subsequence};

use super::{Rules, Selection, Selector, Subject, Verdict};

/// A container in Kubernetes of which all is known.
pub(super) const CART: Subject<'static> = Subject {
    executable: Some("/opt/shop/cart"),
    command: Some("/opt/shop/cart --port=8080 --names a,b *"),
    language: Some("go"),
    cgroup: Some("/kubepods.slice/kubepods-pod7.slice/cri-containerd-4f5e6d.scope"),
    unit: Some("containerd.service"),
    container: Some("cart"),
    container_id: Some("4f5e6d"),
    node: Some("node-1"),
    namespace: Some("shop"),
    pod: Some("cart-7d9f-x2"),
    owner: Some("Deployment/cart"),
    labels: Some(&[("app", "cart"), ("app.kubernetes.io/part-of", "shop"), ("empty", "")]),
    annotations: Some(&[("team", "a")]),
    service: Some("cart"),
    port: None,
    complete: true,
};

/// A process of the host of which all is known: there is no pod.
pub(super) const NGINX: Subject<'static> = Subject {
    executable: Some("/usr/sbin/nginx"),
    unit: Some("nginx.service"),
    complete: true,
    command: None,
    language: None,
    cgroup: None,
    container: None,
    container_id: None,
    node: None,
    namespace: None,
    pod: None,
    owner: None,
    labels: None,
    annotations: None,
    service: None,
    port: None,
};

/// Of two lists.
pub(super) fn selection(include: &str, exclude: &str) -> Selection {
    Selection { include: Selector::list(include).unwrap(), exclude: Selector::list(exclude).unwrap() }
}

/// Text that is often a list of selectors, or nearly.
fn nearly_selectors() -> impl Strategy<Value = String> {
    let condition = r"(executable|unit|owner|pod|label\.a/b|port)( )?!?=[ab1*?|,;>\\ /.=-]{1,7}";
    prop::collection::vec(condition, 1..4).prop_map(|conditions| conditions.join(","))
}

/// Conditions of which each says something else of [`subjects`].
const CONDITIONS: [&str; 8] =
    ["pod=a", "pod!=b", "namespace=a", "executable=a", "executable!=*", "port=1-2", "port!=2", "label.a=a"];

/// Lists of selectors with several conditions each.
fn lists() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    prop::collection::vec(subsequence(&CONDITIONS, 1..4), 0..3)
}

fn list(selectors: &[Vec<&str>]) -> String {
    selectors.iter().map(|conditions| conditions.join(",")).collect::<Vec<_>>().join(";")
}

/// Of which something is known, and the same later, when all is.
fn subjects() -> impl Strategy<Value = (Subject<'static>, Subject<'static>)> {
    let name = || prop::option::of(prop::sample::select(vec!["a", "b"]));
    let labels = || prop::option::of(prop::sample::select(vec![[("a", "a")].as_slice(), &[]]));
    let later =
        (name(), name(), name(), labels(), 0_u16..4).prop_map(|(executable, namespace, pod, labels, port)| {
            Subject { executable, namespace, pod, labels, port: Some(port), complete: true, ..Subject::default() }
        });
    (later, any::<[bool; 4]>()).prop_map(|(later, known)| {
        let early = Subject {
            executable: later.executable.filter(|_| known[0]),
            namespace: later.namespace.filter(|_| known[1]),
            pod: later.pod.filter(|_| known[2]),
            labels: later.labels.filter(|_| known[3]),
            complete: false,
            ..later
        };
        (early, later)
    })
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in r"([a-z]{0,3}=|pod=|->|[{}|,;!=\\* é]|.){0,30}") {
        let _ = Selector::list(&text);
        let _ = Rules::parse(&text);
    }

    #[test]
    fn a_selector_printed_and_parsed_again_is_the_same(text in nearly_selectors()) {
        for selector in Selector::list(&text).unwrap_or_default() {
            let printed = selector.to_string();
            prop_assert_eq!(Selector::parse(&printed), Ok(selector.clone()), "{}", printed);
            prop_assert_eq!(Selector::list(&printed), Ok(vec![selector]), "{}", printed);
        }
    }

    #[test]
    fn a_selection_is_what_its_conditions_say_one_by_one(include in lists(), exclude in lists(), (_, subject) in subjects()) {
        let holds = |condition: &&str| selection(condition, "").verdict(&subject) == Verdict::Watch;
        let one_fits = |selectors: &[Vec<&str>]| selectors.iter().any(|conditions| conditions.iter().all(holds));
        let is_watched = (include.is_empty() || one_fits(&include)) && !one_fits(&exclude);
        let expected = if is_watched { Verdict::Watch } else { Verdict::Ignore };
        prop_assert_eq!(selection(&list(&include), &list(&exclude)).verdict(&subject), expected);
    }

    #[test]
    fn more_knowledge_never_changes_a_verdict(include in lists(), exclude in lists(), (early, later) in subjects()) {
        let selection = selection(&list(&include), &list(&exclude));
        let before = selection.verdict(&early);
        prop_assert!(before == Verdict::Undecided || before == selection.verdict(&later));
    }

    #[test]
    fn more_knowledge_never_changes_a_name(
        conditions in prop::collection::vec(prop::sample::select(vec!["pod=a", "namespace!=a", "executable=b"]), 0..4),
        (early, later) in subjects(),
    ) {
        let rule = |(index, condition)| format!("{condition} -> {index}{{pod}}; {condition} -> {index}");
        let rules: Vec<String> = conditions.iter().enumerate().map(rule).collect();
        let rules = Rules::parse(&rules.join(";")).unwrap();
        let before = rules.name(&early);
        prop_assert!(before.is_none() || before == rules.name(&later));
    }
}
