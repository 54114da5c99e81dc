"""The paper's articles. A real site would keep them in its database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")


@dataclass(frozen=True, slots=True)
class Story:
    """One article of the paper. `key` is what the discussion knows it by."""

    key: str
    category: str
    headline: str
    japanese: str
    published_at: datetime
    paragraphs: tuple[str, ...]
    comments_open: bool = True

    @property
    def title(self) -> str:
        return f"{self.headline} {self.japanese}"

    @property
    def stamp(self) -> str:
        """Day, month and time as the paper has always printed them: 13/1 20:22."""
        at = self.published_at
        return f"{at.day}/{at.month} {at:%H:%M}"


def at(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=JST)


STORIES = (
    Story(
        "2026/01/13/night-tram",
        "Transport",
        "Night tram returns to the harbour line",
        "港線の夜間電車、復活へ",
        at(13, 20, 22),
        (
            "The last tram from Tsukimori Station to the harbour will leave at 00:40 from 1 February, the city said on Tuesday, 13 January. "
            "For eleven years it has left at 22:55, long before the kitchens at the pier close.",
            "Line 2 (港線) will run every thirty minutes after eleven, with a single car and one driver. The city expects about two hundred "
            "passengers a night and has set aside ¥48 million for the trial, which ends on 31 July.",
            "“We asked the drivers first,” said Ohara Miki, who runs the depot at Shiomi. “Nine of them wanted the late shift. We needed six.” "
            "Residents along Tegata-dōri were promised new rubber pads under the rails before the first night run.",
        ),
    ),
    Story(
        "2026/01/13/first-snow",
        "Weather",
        "First snow on Mount Kasagi, three weeks late",
        "笠木山で初冠雪、平年より三週間遅く",
        at(13, 9, 5),
        (
            "The weather office in Tsukimori saw snow on the top of Mount Kasagi (812 m) at 6:40 on Tuesday morning, twenty-two days later "
            "than usual and the latest since its records began in 1931.",
            "The ropeway keeps its winter timetable. Hikers are asked to carry light crampons above the sixth station; the path past the "
            "Fudō waterfall stays closed until the railing is mended.",
        ),
    ),
    Story(
        "2026/01/12/coming-of-age",
        "City",
        "A thousand and four turn twenty, one ceremony at a time",
        "成人の日、「二十歳のつどい」に千四人",
        at(12, 17, 48),
        (
            "Four halls instead of one: Tsukimori held its coming-of-age ceremony on Monday, 12 January, in the four school districts, so that "
            "grandparents would not have to cross the river in kimono.",
            "Of 1,131 invited, 1,004 came. In Midori the speech was given by Sakai Haruto, who repairs fishing nets with his father. "
            "“Everybody told me to go to the capital,” he said. “I went. It was loud.”",
            "The city will ask those who took part whether the four ceremonies should stay four.",
        ),
    ),
    Story(
        "2026/01/11/sento",
        "Culture",
        "The bathhouse that became a library keeps its chimney",
        "元銭湯の図書室、煙突は残す",
        at(11, 14, 30),
        (
            "Matsu-no-yu heated its last bath in 2019. Since Saturday there have been nine thousand books between the tiles, and the painted "
            "Mount Fuji looks down on the children's corner.",
            "The twenty-three metre chimney was to be taken down. A survey found it sound, and 2,600 neighbours signed for it. It now carries "
            "the library's only antenna, and once a year, on 10 October, it may smoke.",
            "Open from ten to seven, closed on Wednesdays. Shoes go where they always went.",
        ),
    ),
    Story(
        "2026/01/10/yuzu",
        "Food",
        "Yuzu growers send their crooked fruit to school",
        "形の悪い柚子、給食へ",
        at(10, 11, 12),
        (
            "About a third of the yuzu from the terraces at Uenohara never reaches a shop, because it is scarred or the wrong size. From this "
            "week the school kitchens take it: four tonnes until March, at two thirds of the market's price.",
            "The first lunch was udon with yuzu peel on Friday. The verdict of class 4-2 at Shiomi Elementary was eighteen for, nine against "
            "and one “only the smell”.",
        ),
    ),
    Story(
        "2026/01/09/repair-cafe",
        "Technology",
        "Town hall publishes the code of its bus board",
        "市、バス案内板のソースコードを公開",
        at(9, 19, 3),
        (
            "The screens at Tsukimori's bus stops have shown the wrong minute for years. On Friday the city put their program on the web and "
            "asked for help. By evening three people had found the same line.",
            "“The board rounded down,” said Nishi Rin, a second-year student at the technical college. “A bus that comes in fifty-nine seconds "
            "was shown as now.” The correction reaches all eighty-two boards by the end of January.",
        ),
    ),
    Story(
        "2026/01/08/market",
        "Business",
        "Morning market moves under the railway arches",
        "朝市、高架下へ移転",
        at(8, 7, 55),
        (
            "After forty years in the rain the morning market has a roof. Sixty of its seventy-one stalls opened under the arches of the "
            "Kitaguchi viaduct on Thursday; the others retire or stay at the river.",
            "Rents are the same for two years. The fish stalls got the arches with drains, the flower stalls the ones with light. "
            "Discussion of this article has ended; letters may be sent to the desk.",
        ),
        comments_open=False,
    ),
)

BY_KEY = {story.key: story for story in STORIES}
