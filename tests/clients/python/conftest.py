"""Says what became of each client on a line of its own, for the script that counts them."""


def pytest_itemcollected(item):
    client = item.module.__doc__.partition(":")[0]
    what = item.name.removeprefix("test_").replace("_", " ")
    item.user_properties.append(("line", f"{client}: {what}"))


def pytest_runtest_logreport(report):
    if report.when != "call" and report.passed:
        return
    word = {"passed": "ok", "failed": "not ok", "skipped": "skip"}[report.outcome]
    print(f"\n{word} - {dict(report.user_properties)['line']}")
