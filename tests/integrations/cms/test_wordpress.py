"""The traps of a real WordPress: users without rights, answers that lie, saves in between, and content that must stay."""

import re
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from integrations.cms.wordpress import WordPressPosts
from integrations.errors import NotFound, Refused, Unavailable
from tests.integrations.cms.desks import Blog
from tests.integrations.cms.pictures import a_cover, png

pytestmark = pytest.mark.service("wordpress")


@pytest.fixture
def blog(wordpress):
    return Blog(wordpress)


@pytest.fixture
def figured(wordpress):
    return Blog(wordpress, figure=True)


@pytest.fixture
def post(blog):
    return blog.add("云原生", "一段文字，说的是容器与编排。")


def a_new_cover(numbers=iter(range(1, 10_000))):
    """A cover that no other test has in the library."""
    number = next(numbers)
    return a_cover("", f"alt {number}", (number // 256, number % 256, 99))


@pytest.fixture
def cover():
    return a_new_cover()


def in_library(blog, cover):
    return blog.ask("GET", f"media&slug={cover.name.removesuffix('.png')}")


def fetched(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        return answer.read()


def permalinks(blog, structure):
    blog.site.run(f"update_option('permalink_structure', '{structure}'); $GLOBALS['wp_rewrite']->init(); flush_rewrite_rules();")


# Rights and errors


@pytest.mark.parametrize("ask", [
    lambda source, post: list(source.list_posts()), lambda source, post: source.read(post),
    lambda source, post: source.check_writable(post), lambda source, post: source.write_cover(post, a_cover())])
def test_a_wrong_password_is_refused_naming_the_user_and_never_the_password(blog, post, ask):
    source = blog.source("editor", "wrong horse battery staple")
    with pytest.raises(Refused, match=r"status 401: .*'editor' or the application password is not accepted") as caught:
        ask(source, post)
    assert "horse" not in str(caught.value)
    assert "Basic" not in str(caught.value)


def test_somebody_who_may_not_add_pictures_is_refused_before_the_painting(blog):
    own = str(blog.ask("POST", "posts", user="contributor", json={"title": "草稿", "content": "一段文字"})["id"])
    source = blog.source("contributor", statuses=("draft",))
    assert own in list(source.list_posts())
    with pytest.raises(Refused, match="may not add pictures; it needs the role of an author"):
        source.check_writable(own)
    with pytest.raises(Refused, match=r"POST media: status 403: .*'contributor' needs the role of an editor"):
        source.write_cover(own, a_cover())


def test_an_author_covers_own_posts_and_no_others(blog, post, cover):
    own = str(blog.ask("POST", "posts", user="author", json={"title": "a", "content": "words", "status": "publish"})["id"])
    source = blog.source("author")
    source.check_writable(own)
    assert source.write_cover(own, cover).changed
    with pytest.raises(Refused, match=rf"GET posts/{post}: status 403"):
        source.check_writable(post)


def test_a_post_in_the_trash_is_not_found(blog, post, cover):
    blog.ask("DELETE", f"posts/{post}")
    with pytest.raises(NotFound, match=f"post {post} has the status 'trash'"):
        blog.posts.write_cover(post, cover)
    assert post not in list(blog.posts.list_posts())
    blog.ask("DELETE", f"posts/{post}&force=true")
    with pytest.raises(NotFound, match=f"posts/{post}: status 404: Invalid post ID"):
        blog.posts.read(post)


@pytest.mark.parametrize("post_id", ["", "abc", "-1", "1/../../users", "7?x=1", "１２", "9" * 30, "1e3", " 1"])
def test_an_id_that_is_no_number_never_reaches_the_site(blog, post_id):
    with pytest.raises(NotFound, match="the id of a post is a number"):
        blog.posts.read(post_id)


def test_a_file_that_the_site_takes_for_no_picture_is_refused_not_tried_again(blog, post):
    broken = a_cover()
    object.__setattr__(broken, "data", b"no picture at all")
    object.__setattr__(broken, "name", "fengmian-1x1-0000.png")
    with pytest.raises(Refused, match=r"POST media: status 500: .*not allowed to upload this file type"):
        blog.posts.write_cover(post, broken)
    assert blog.posts.read(post).cover == ""


def test_a_site_in_maintenance_is_unavailable(blog, post):
    mark = blog.site.folder / ".maintenance"
    mark.write_text(f"<?php $upgrading = {int(time.time())};")
    try:
        with pytest.raises(Unavailable, match=r"status 503: .*Briefly unavailable"):
            blog.source("editor").read(post)
    finally:
        mark.unlink()
        time.sleep(2.1)  # PHP may remember for two seconds that a file is there
    assert blog.posts.read(post).title == "云原生"


def test_without_readable_permalinks_all_works_the_same(blog, post, cover):
    permalinks(blog, "")
    try:
        # PHP's own server hands /wp-json/ to WordPress all the same, which then shows its front page.
        source = blog.source("editor")
        assert source._client._root == "/?rest_route="
        assert post in list(source.list_posts())
        written = source.write_cover(post, cover)
        assert source.read(post).cover == written.address
        assert source.restore(post, written)
    finally:
        permalinks(blog, "/%postname%/")


def test_a_site_that_takes_no_application_passwords_says_so(blog):
    plugin = blog.site.folder / "wp-content/mu-plugins/no-passwords.php"
    plugin.write_text("<?php add_filter('wp_is_application_passwords_available', '__return_false');")
    try:
        with pytest.raises(Refused, match="takes no application passwords; it must be served over https"):
            list(blog.source("editor").list_posts())
    finally:
        plugin.unlink()


# Lists


@pytest.fixture
def hundred(blog):
    """101 posts of a status that nothing else here has, removed afterwards."""
    code = ("$ids = array(); for ($i = 0; $i < 101; $i++) $ids[] = wp_insert_post(array('post_title' => \"p$i\", "
            "'post_content' => 'words', 'post_status' => 'private', 'post_author' => 1)); echo implode(',', $ids);")
    ids = blog.site.run(code).split(",")
    yield ids
    blog.site.run(f"foreach (array({','.join(ids)}) as $id) wp_delete_post($id, true);")


def test_more_posts_than_one_page_holds_are_all_listed_in_order(blog, hundred):
    assert list(blog.source("editor", statuses=("private",)).list_posts()) == hundred


def test_a_list_that_becomes_shorter_meanwhile_ends_without_an_error(blog, hundred):
    listed = blog.source("editor", statuses=("private",)).list_posts()
    first = next(listed)
    blog.ask("DELETE", f"posts/{hundred[50]}&force=true")
    assert [first, *listed] == hundred[:100]


def test_only_the_statuses_asked_for_are_listed(blog, post):
    draft = blog.add("草稿", "一段文字", status="draft")
    assert draft not in list(blog.posts.list_posts())
    both = list(blog.source("editor", statuses=("publish", "draft")).list_posts())
    assert {post, draft} <= set(both)


def test_what_has_changed_since_a_moment_is_listed_whatever_the_sites_time_zone(blog, post, cover):
    blog.site.run(f"global $wpdb; $wpdb->update($wpdb->posts, array('post_modified' => '2024-05-01 20:00:00', "
                  f"'post_modified_gmt' => '2024-05-01 12:00:00'), array('ID' => {post}));")
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert post in list(blog.posts.changed_since(noon))
    assert post in list(blog.posts.changed_since(noon.astimezone()))
    assert post not in list(blog.posts.changed_since(noon + timedelta(seconds=6)))
    version = blog.posts.version(post)
    blog.posts.write_cover(post, cover)
    assert post in list(blog.posts.changed_since(noon + timedelta(seconds=6)))
    assert blog.posts.version(post) == version


def test_a_moment_without_a_time_zone_is_refused(blog):
    with pytest.raises(ValueError, match="2024-05-01T12:00:00 has no time zone"):
        blog.posts.changed_since(datetime(2024, 5, 1, 12))


# Reading


def test_a_post_is_read_with_its_category_tags_excerpt_and_picture(blog):
    tag = blog.ask("POST", "tags", json={"name": f"R&D {time.time_ns()}"})
    category = blog.ask("POST", "categories", json={"name": f"技术 {time.time_ns()}"})
    content = '[caption id="x"]<img src="a.png"/> 一幅图[/caption]\n\n&lt;b&gt; 第二段\n\n[gallery ids="1"]'
    picture = blog.picture("cup")
    post = blog.add("<em>题</em> &amp; 目", "", content=content, excerpt="摘要<br>在此", tags=[tag["id"]],
                    categories=[category["id"]], featured_media=picture)
    article = blog.posts.read(post)
    assert (article.title, article.text, article.description) == ("题 & 目", "一幅图\n<b> 第二段", "摘要 在此")
    assert article.tags[0].startswith("R&D ")
    assert article.section.startswith("技术 ")
    assert article.cover.endswith("cup.png")
    assert article.source.startswith(f"{blog.site.url}/")


def test_the_category_of_what_has_none_says_nothing(blog, post):
    assert blog.posts.read(post).section == ""


def test_a_post_without_words_is_refused(blog):
    with pytest.raises(Refused, match="has no words"):
        blog.posts.read(blog.add("", "", content="<p>😀</p>", status="draft"))


def test_a_draft_has_no_version_until_it_is_published(blog):
    draft = blog.add("草稿", "一段文字", status="draft")
    with pytest.raises(NotFound, match=f"post {draft} has the status 'draft'; covers are for publish$"):
        blog.posts.version(draft)
    assert blog.posts.read(draft).title == "草稿"
    blog.ask("POST", f"posts/{draft}", json={"status": "publish"})
    assert blog.posts.version(draft)


def test_the_version_follows_the_status(blog):
    draft, source = blog.add("草稿", "一段文字", status="draft"), blog.source("editor", statuses=("publish", "draft"))
    version = source.version(draft)
    blog.ask("POST", f"posts/{draft}", json={"status": "publish"})
    assert source.version(draft) != version


# Writing


def test_readers_get_the_very_bytes_and_the_name_is_made_of_them(blog, post, cover):
    address = blog.posts.write_cover(post, cover).address
    assert fetched(address) == cover.data
    assert address.endswith(f"/{cover.name}")


def test_only_the_featured_image_of_a_post_changes(blog, cover):
    post = blog.add("题", "", content="<iframe src='https://v.test/1'></iframe>\n\n  text <script>1</script>\n", excerpt="摘要",
                    slug="a-slug", sticky=True, comment_status="closed", date="2024-01-02T03:04:05")
    before = blog.post(post)
    blog.posts.write_cover(post, cover)
    after = blog.post(post)
    changed = {key for key in before if before[key] != after[key]}
    derived = {"_links", "class_list"}  # WordPress 6.7 and later says has-post-thumbnail
    assert changed - derived <= {"featured_media", "modified", "modified_gmt"}


def test_a_picture_whose_linking_failed_is_not_uploaded_again(blog, post, cover):
    uploaded = blog.posts._upload(post, cover)  # and here the process died
    written = blog.posts.write_cover(post, cover)
    assert blog.post(post)["featured_media"] == uploaded["id"]
    assert written.address == uploaded["source_url"]
    assert len(in_library(blog, cover)) == 1


def test_two_posts_with_one_picture_share_it(blog, post, cover):
    other = blog.add("另一篇", "一段文字")
    assert blog.posts.write_cover(post, cover).address == blog.posts.write_cover(other, cover).address


def test_a_file_of_the_same_name_with_other_bytes_is_not_taken_for_ours(blog, post, cover):
    impostor = blog.ask("POST", "media", data={"slug": cover.name.removesuffix(".png")},
                        files={"file": (cover.name, png("red", (9, 9)), "image/png")})
    address = blog.posts.write_cover(post, cover).address
    assert blog.post(post)["featured_media"] != impostor["id"]
    assert fetched(address) == cover.data


@pytest.mark.parametrize("lie", ["a picture that is not there", "a post"])
def test_a_yes_of_wordpress_that_was_none_is_noticed(blog, post, cover, monkeypatch, lie):
    number = 99_999_999 if lie == "a picture that is not there" else int(post)
    media = {"id": number, "source_url": "https://a.test/x.png", "alt_text": ""}
    monkeypatch.setattr(WordPressPosts, "_upload", lambda *_: media)
    with pytest.raises(Refused, match=f"post {post} was to have the picture {number} and has 0"):
        blog.posts.write_cover(post, cover)


def test_a_picture_chosen_while_ours_was_uploaded_is_kept(blog, post, cover, monkeypatch):
    upload = WordPressPosts._upload

    def meanwhile(*given):
        blog.choose_cover(post, "meanwhile")
        return upload(*given)

    monkeypatch.setattr(WordPressPosts, "_upload", meanwhile)
    assert not blog.posts.write_cover(post, cover).changed
    assert "meanwhile" in blog.posts.read(post).cover


def test_an_old_picture_that_is_gone_is_not_put_back(blog, post, cover):
    blog.choose_cover(post, "old")
    old = blog.post(post)["featured_media"]
    written = blog.posts.write_cover(post, cover, force=True)
    ours = blog.post(post)["featured_media"]
    blog.ask("DELETE", f"media/{old}&force=true")
    with pytest.raises(Refused, match=f"post {post} was to have the picture {old} and has {ours}"):
        blog.posts.restore(post, written)
    assert blog.post(post)["featured_media"] == ours


def test_a_picture_replaced_by_force_comes_back(blog, post, cover):
    blog.choose_cover(post, "old")
    before = blog.everything(post)
    written = blog.posts.write_cover(post, cover, force=True)
    assert blog.posts.restore(post, written)
    assert blog.everything(post) == before


# The figure on top of the content


def test_the_paragraphs_of_an_old_post_stay_paragraphs_below_the_figure(figured, cover):
    post = figured.add("旧文", "", content="one line\nand another\n\nsecond paragraph")
    written = figured.posts.write_cover(post, cover)
    page = figured.post(post)["content"]["rendered"]
    assert "<p>one line<br />\nand another</p>\n<p>second paragraph</p>" in page
    assert re.search(rf'<figure class="[^"]*fengmian-cover"><img[^>]+src="{re.escape(written.address)}"', page)


def test_a_second_cover_takes_the_place_of_the_first_figure(figured, cover):
    post, other = figured.add("题", "一段文字"), a_new_cover()
    figured.posts.write_cover(post, cover)
    written = figured.posts.write_cover(post, other, force=True)
    content = figured.post(post)["content"]["raw"]
    assert content.count("fengmian-cover") == 2  # the block's own comment and the figure
    assert content.startswith("<!-- wp:image ")
    assert written.address in content


def test_a_figure_edited_by_somebody_is_not_taken_away(figured, cover):
    post = figured.add("题", "一段文字")
    written = figured.posts.write_cover(post, cover)
    figured.rewrite(post, "</figure>", "<figcaption>手写的说明</figcaption></figure>")
    with pytest.raises(Refused, match="手写的说明"):
        figured.posts.restore(post, written)
    assert "手写的说明" in figured.post(post)["content"]["raw"]


def test_a_user_who_lost_that_right_takes_no_figure_away(figured, cover):
    post = str(figured.ask("POST", "posts", user="author", json={"title": "a", "content": "words", "status": "publish"})["id"])
    written = figured.posts.write_cover(post, cover)
    before = figured.everything(post)
    with pytest.raises(Refused, match="unfiltered_html"):
        figured.source("author").restore(post, written)
    assert figured.everything(post) == before


def test_a_user_of_whom_wordpress_strips_scripts_writes_no_content(figured):
    post = str(figured.ask("POST", "posts", user="author", json={"title": "a", "content": "words", "status": "publish"})["id"])
    figured.rewrite(post, "words", "words <iframe src='https://v.test/1'></iframe>")
    before = figured.everything(post)
    source = figured.source("author")
    for ask in (source.check_writable, lambda post_id: source.write_cover(post_id, a_cover())):
        with pytest.raises(Refused, match="a figure needs a user with the right unfiltered_html"):
            ask(post)
    assert figured.everything(post) == before
