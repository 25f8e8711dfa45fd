"""Rust tests that fail under cargo or as a program of their own."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_rust import source_with
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, warm_up

__all__: list[str] = []


def _tests(shop: Workshop, good: list[str], bad: str, claim: str) -> str:
    order = [(name, f"        assert!({shop.rng.randint(2, 9)} > 1);\n") for name in good] + [(bad, claim)]
    shop.rng.shuffle(order)
    return (
        "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n"
        + "\n".join(f"    #[test]\n    fn {name}() {{\n{text}    }}\n" for name, text in order)
        + "}\n"
    )


def _test_run(shop: Workshop, body: str, test: str, claim: str) -> tuple[Step, str]:
    good = [shop.names.function() for _ in range(shop.rng.randint(0, 9))]
    text = source_with(shop, body) + _tests(shop, good, test, claim)
    shop.write("Cargo.toml", f'[package]\nname = "{shop.repo}"\nversion = "{shop.names.version()}"\nedition = "2021"\n')
    path = "src/lib.rs"
    if chance(shop, 0.4):
        name = shop.names.module()
        path = f"src/{name}.rs"
        shop.write("src/lib.rs", f"pub mod {name};\n")
    shop.write(path, text)
    if chance(shop, 0.3):
        shop.write("src/lib.rs", text)
        shop.passing("rustc --edition 2021 --test src/lib.rs -o unit-tests")
        return shop.failing("./unit-tests --test-threads 1"), "src/lib.rs"
    warm_up(shop, "cargo --version", "cargo check --color never", "cargo build", most=1)
    return shop.failing(
        shop.rng.choice(
            (
                "cargo test",
                "cargo test --lib -- --test-threads 1",
                "cargo test --lib",
                "RUST_BACKTRACE=1 cargo test -q",
                "cargo test -q",
            )
        )
    ), path


@recipe("cargo.failed-assert", tool="cargo", category="test_assertion", origin="code", requires=("cargo",))
def failed_test(shop: Workshop) -> Fault:
    """A #[test] compares with assert_eq! and the two differ."""
    function, test = (
        shop.names.function(),
        f"{shop.names.function()}_{shop.rng.choice(('works', 'holds', 'is_stable', 'counts'))}",
    )
    factor, given, off = shop.rng.randint(2, 9), shop.rng.randint(11, 90), shop.rng.randint(1, 5)
    body = f"pub fn {function}(value: i64) -> i64 {{\n    value * {factor} + {off}\n}}\n"
    got, want = str(given * factor + off), str(given * factor)
    claim = f"        assert_eq!({function}({given}), {want});\n"
    if chance(shop, 0.4):
        word = shop.names.noun()
        body = f"pub fn {function}(text: &str) -> String {{\n    text.to_uppercase()\n}}\n"
        got, want = f'"{word.upper()}"', f'"{word.capitalize()}"'
        claim = f'        assert_eq!({function}("{word}"), {want});\n'
    run, _ = _test_run(shop, body, test, claim)
    return Fault(
        run,
        (f"{test}'", f"  left: {got}", f" right: {want}"),
        test,
        f"Test `{test}` fails: expected `{want}`, got `{got}`.",
        f"Correct the code under `{test}` or the value it expects.",
    )


@recipe("cargo.panicking-test", tool="cargo", category="test_assertion", origin="code", requires=("cargo",))
def panicking_test(shop: Workshop) -> Fault:
    """The code under a #[test] panics."""
    function, test, word = shop.names.function(), f"{shop.names.function()}_does_not_panic", shop.names.noun()
    size, index = shop.rng.randint(2, 5), shop.rng.randint(7, 40)
    body, claim, says = shop.rng.choice(
        (
            (
                f"pub fn {function}(items: &[u8]) -> u8 {{\n    items[{index}]\n}}\n",
                f"        assert_eq!({function}(&[1; {size}]), 1);\n",
                f"index out of bounds: the len is {size} but the index is {index}",
            ),
            (
                f"pub fn {function}(text: &str) -> u32 {{\n    text.parse::<u32>().unwrap()\n}}\n",
                f'        assert_eq!({function}("{word}"), 1);\n',
                "called `Result::unwrap()` on an `Err` value",
            ),
            (
                f"pub fn {function}(text: &str) -> char {{\n"
                f'    text.chars().nth({index}).expect("{word} is too short")\n}}\n',
                f"        assert_eq!({function}(\"{word}\"), 'x');\n",
                f"{word} is too short",
            ),
            (
                f"pub fn {function}(total: u32, parts: u32) -> u32 {{\n    total / parts\n}}\n",
                f"        assert_eq!({function}({index}, 0), 1);\n",
                "attempt to divide by zero",
            ),
        )
    )
    run, _ = _test_run(shop, body, test, claim)
    return Fault(run, (f"{test}'", says), test, f"Test `{test}` panics.", f"Correct the code under `{test}`.")
