"""Where posts live, for the contract suite: a source under test, and what its editors do beside it."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from integrations.cms.ghost import GhostPosts
from integrations.cms.ghost_client import GhostClient
from integrations.cms.git_posts import GitPosts, Repository
from integrations.cms.markdown_posts import MarkdownPosts
from integrations.cms.wordpress import WordPressPosts
from integrations.cms.wordpress_client import WordPressClient
from integrations.ports import PostSource
from tests.integrations.cms.ghost_twin import GhostTwin
from tests.integrations.cms.pictures import png
from tests.services.ghost import Ghost
from tests.services.wordpress import WordPress


@dataclass
class Folder:
    """A folder of posts with front matter, or of plain pages."""

    root: Path
    suffix: str = ".md"
    posts: PostSource = field(init=False)
    nowhere: str = "nowhere.md"

    def __post_init__(self):
        self.root.mkdir(exist_ok=True)
        self.posts = MarkdownPosts(self.root)

    def add(self, title, words):
        post_id = f"post-{len(list(self.root.iterdir()))}{self.suffix}"
        is_page = self.suffix == ".html"
        text = (f"<html><head>\n<title>{title}</title>\n</head>\n<body><p>{words}</p></body></html>\n" if is_page else
                f"---\ntitle: {title} # a title\ntags: [云]\n---\n\n{words}\n")
        (self.root / post_id).write_text(text, encoding="utf-8")
        return post_id

    def rewrite(self, post_id, old, new):
        path = self.root / post_id
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def choose_cover(self, post_id, choice):
        """Somebody puts a cover of their own in place of the one that is there."""
        cover = self.posts.read(post_id).cover
        self.rewrite(post_id, cover, f"/{choice}.png")

    def everything(self, post_id):
        return (self.root / post_id).read_bytes()

    def shown_alt(self, post_id):
        return self.everything(post_id).decode()


@dataclass
class GitFolder(Folder):
    """The same in a Git repository, whose editors commit what they do. origin: a bare one that it pushes to, or None."""

    origin: Path | None = None
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        self.git("init", "--quiet", "--initial-branch=main")
        (self.root / "posts").mkdir()
        (self.root / "README").write_text("a site")
        self.commit()
        if self.origin:
            self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
            self.git("remote", "add", "origin", str(self.origin))
            self.git("push", "--quiet", "origin", "main")
        self.repository = self.root
        self.root = self.root / "posts"
        remote = "origin" if self.origin else ""
        self.posts = GitPosts(Repository(folder=self.repository, posts="posts", remote=remote, timeout_s=20, **self.options))

    def git(self, *words, folder=None):
        who = ("-c", "user.name=Editor", "-c", "user.email=editor@example.test")
        done = subprocess.run(["git", *who, *words], cwd=folder or getattr(self, "repository", self.root), capture_output=True,
                              text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "an edit")
        if self.origin and self.origin.exists():
            self.git("push", "--quiet", "origin", "main")

    def add(self, title, words):
        post_id = super().add(title, words)
        self.commit()
        return post_id

    def rewrite(self, post_id, old, new):
        super().rewrite(post_id, old, new)
        self.commit()


@dataclass
class Blog:
    """A WordPress, whose editors use its API as its own editor does."""

    site: WordPress
    figure: bool = False
    posts: PostSource = field(init=False)
    nowhere: str = "987654321"

    def __post_init__(self):
        self.posts = self.source("editor")

    def source(self, user, password=None, url=None, **options):
        client = WordPressClient(url or self.site.url, user, password or self.site.passwords.get(user, "x"), timeout_s=30)
        return WordPressPosts(client, figure=self.figure, **options)

    def ask(self, method, route, user="admin", **more):
        with httpx.Client(trust_env=False, timeout=30, auth=(user, self.site.passwords[user])) as client:
            answer = client.request(method, f"{self.site.url}/index.php?rest_route=/wp/v2/{route}", **more)
        return answer.raise_for_status().json()

    def add(self, title, words, **fields):
        content = f"<!-- wp:paragraph -->\n<p>{words}</p>\n<!-- /wp:paragraph -->"
        return str(self.ask("POST", "posts", json={"title": title, "content": content, "status": "publish"} | fields)["id"])

    def post(self, post_id):
        return self.ask("GET", f"posts/{post_id}&context=edit")

    def rewrite(self, post_id, old, new):
        post = self.post(post_id)
        title, content = post["title"]["raw"], post["content"]["raw"]
        assert old in title + content
        self.ask("POST", f"posts/{post_id}", json={"title": title.replace(old, new), "content": content.replace(old, new)})

    def picture(self, name, colour="red"):
        """A picture of somebody else in the library."""
        return self.ask("POST", "media", files={"file": (f"{name}.png", png(colour), "image/png")})["id"]

    def choose_cover(self, post_id, choice):
        self.ask("POST", f"posts/{post_id}", json={"featured_media": self.picture(choice)})

    def everything(self, post_id):
        post = self.post(post_id)
        return json.dumps({key: post[key] for key in post if key not in ("modified", "modified_gmt", "_links")}, indent=1)

    def shown_alt(self, post_id):
        return self.ask("GET", f"media/{self.post(post_id)['featured_media']}")["alt_text"]


@dataclass
class GhostBlog:
    """A Ghost, real or the twin, whose editors use its API as its own editor does."""

    site: Ghost | GhostTwin
    social: bool = False
    posts: PostSource = field(init=False)
    nowhere: str = "0123456789abcdef01234567"

    def __post_init__(self):
        self.posts = self.source()

    def source(self, admin_key=None, **options):
        client = GhostClient(self.site.url, admin_key or self.site.admin_key, timeout_s=30)
        return GhostPosts(client, social=self.social, **options)

    def add(self, title, words, **fields):
        post = {"title": title, "html": f"<p>{words}</p>", "status": "published"} | fields
        return self.site.ask("POST", "posts/?source=html", json={"posts": [post]})["posts"][0]["id"]

    def post(self, post_id):
        return self.site.ask("GET", f"posts/{post_id}/?formats=html,lexical&include=tags,authors")["posts"][0]

    def edit(self, post_id, **fields):
        """What an editor does who has the post open as it is now."""
        fields |= {"updated_at": self.post(post_id)["updated_at"]}
        return self.site.ask("PUT", f"posts/{post_id}/?source=html", json={"posts": [fields]})["posts"][0]

    def rewrite(self, post_id, old, new):
        post = self.post(post_id)
        assert old in post["title"] + post["html"]
        self.edit(post_id, title=post["title"].replace(old, new), html=post["html"].replace(old, new))

    def choose_cover(self, post_id, choice):
        self.edit(post_id, feature_image=f"https://pictures.test/{choice}.png")

    def everything(self, post_id):
        post = self.post(post_id)
        return json.dumps({key: post[key] for key in post if key != "updated_at"}, indent=1, ensure_ascii=False)

    def shown_alt(self, post_id):
        return self.post(post_id)["feature_image_alt"]
