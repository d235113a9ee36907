def test_x(site):
    site.post("a.md")
    a = site.run("cover", "posts/a.md", "--json")
    print(a)
    b = site.run("cover", "posts/a.md")
    print(b)
    b = site.run("cover", "posts/a.md", "--write")
    print(b, (site.posts/"a.md").read_text())
    assert 0
