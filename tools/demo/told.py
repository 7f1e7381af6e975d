# ruff: noqa: E501
"""How the people of our own role cards tell their story, written by hand: what the seeker learns to say from them.

One line for each card: id | topic of the bank | first words | what happened | what is hard | what else | feeling.
Half of the cards are left out on purpose: on them one can see what the seeker makes of a card it has never seen.
"""

from __future__ import annotations

from tools.demo.bank import lines

_ENGLISH = """
en-marriage-1 | affair | It's about my husband and money. | Four months ago I found out that my husband had taken a loan of 18,000 euros in both our names. | I check the bank app ten times a day. | I have told nobody, not even my sister. | ashamed
en-exams-1 | exams | I have exams soon. It's fine, I guess. | University entrance exams begin in nineteen days, and in two mock exams my mind went white. | I told my parents that the mocks were not graded. | I study until two in the morning and then my heart pounds. | anxious
en-loneliness-1 | loneliness | It has become very quiet around me. | My last close friend moved to a home three hours away, and my reading circle closed. | Some days the only words I say are to the cashier. | I would never tell my son, he calls for ten minutes and sounds tired. | lonely
en-parenting-1 | parenting | It's about my son. | My nine-year-old son has refused to go to school since a boy filmed him crying. | Last week I shouted at him in the car park. | I have lost three mornings of work. | guilty
en-job-loss-1 | job_loss | The printing works closed. I worked there. | The printing works closed, and I had been there for thirty-three years. | I still leave the house at six in work clothes. | I have sent out forty-one applications and had one answer. | lost
en-friendship-1 | friend | It's silly, but it's about my best friend. | My best friend didn't invite me to her birthday, I saw it in photographs. | I can't have children, and she knows it. | I don't want to lose twenty-two years over a party. | left out
en-caregiving-1 | illness | It's about my mother. | My mother has dementia and lives with me. | At night she packs a suitcase and cries when the door is locked. | I promised my father never to use a care home. | exhausted
en-burnout-1 | work_stress | I'm on sick leave and I don't know who I am. | After nineteen years in intensive care I broke down in the supply room. | My colleagues cover my shifts, and that makes the guilt worse. | I sleep eleven hours and wake up tired. | guilty
en-money-1 | money | It's about money. | My hours were cut by a third, and now I have four loans. | I hide the letters behind the toaster. | By Friday my daughter needs twenty pounds for a school trip. | ashamed
en-breakup-1 | breakup | My partner ended it by text. | My partner of five years ended it by text, two weeks before we wanted to sign for a flat. | I keep rereading the messages to find the day it changed. | We are both invited to a wedding this Saturday. | hurt
en-bullying-1 | bullying | It's about the garage where I work. | In the garage my tools vanish, and my overalls ended up in the oil tank. | The foreman laughs along. | I need ten more months for my certificate. | humiliated
en-discrimination-1 | bullying | Something happened at the hospital last week. | Last week a patient refused to be touched by me because of my headscarf. | The consultant simply sent a colleague instead. | I drove home and could not get out of the car. | exhausted
en-grief-1 | grief | My wife died. | My wife died in February after forty years of marriage. | I keep asking myself why I did not drive her to hospital. | I still make two cups of tea. | guilty
en-career-choice-1 | direction | I don't know whether I should stop dancing. | A foot injury has kept me out for seven months, and a university has offered me a place. | My mother gave up her own job to drive me to lessons. | When I imagine stopping, I feel relief first. | torn
en-health-1 | illness | I'm waiting for a result. | A screening found something in my breast, and the result is due on Thursday. | My mother died of breast cancer at forty-four. | My twins turn six on Wednesday. | scared
en-in-laws-1 | inlaws | I live with my husband's parents. | Since the wedding I have lived with my husband's parents. | His mother washes again the dishes that I have washed. | I cry in the shower with the water on. | unwelcome
en-thesis-1 | exams | My thesis is falling apart. | I found that my main experiment rests on mislabelled samples. | I tell my parents I am nearly done. | Every evening I only change the font. | desperate
en-migration-1 | loneliness | I am far from home. | I came to Ireland with my son, and now I fold sheets in a hotel. | The last message from my husband is nine days old. | I am tired of being grateful. | exhausted
en-parents-1 | parents | I can't tell my parents something. | I have been failing law school and I want to become a carpenter. | My parents drive a taxi and clean offices for me. | At every party they call me our barrister. | guilty
en-first-job-1 | work_stress | Something went wrong in my first job. | Yesterday a boy climbed the fence and was nearly at the street before I noticed. | I count the children all day, and again in my sleep. | I have not told the head how long it took. | scared
en-housing-1 | money | We are losing our home. | The house where I have rented for sixteen years has been sold. | My son is autistic and panics at any change. | I pack and unpack the same box of cups. | desperate
"""

_CHINESE = """
zh-marriage-1 | affair | 是我和我丈夫的事。 | 上个月我发现，他每周都给一个女同事点外卖。 | 我忍不住半夜翻他的朋友圈。 | 孩子刚上一年级，我不知道自己怕什么。 | 不安
zh-exams-1 | exams | 快高考了，我很慌。 | 我复读第二年，二模比去年还低。 | 我一拿到数学卷子手就抖。 | 妈妈辞了工作陪读，我连哭都要躲进厕所。 | 焦虑
zh-loneliness-1 | loneliness | 我一个人在这边，没人说话。 | 老伴走了三年，儿子把我从四川接到杭州。 | 我白天开着电视，图个响动。 | 想回老家，又怕儿子觉得我不领情。 | 孤单
zh-parenting-1 | parenting | 是我儿子的事。 | 我一气之下把儿子的手机摔了，他从此锁上房门。 | 我每天在门外站一会儿，听见没动静就心慌。 | 丈夫怪我脾气急，婆婆怪我管得晚。 | 内疚
zh-job-loss-1 | job_loss | 我被裁了。 | 干了十二年，公司一封邮件就把我裁了。 | 我没敢告诉父母，每天照样穿衬衫出门。 | 房贷每月一万一，女儿还在上私立。 | 羞愧
zh-friendship-1 | friend | 宿舍里现在没人理我。 | 室友被人匿名举报，她认定是我干的，其实不是我。 | 我一进门大家就不说话。 | 我每晚在自习室待到关门。 | 委屈
zh-caregiving-1 | illness | 是我父亲的事。 | 父亲中风了，吃喝拉撒全落在我身上。 | 昨天我冲父亲吼了一句，觉得自己不孝。 | 弟弟出钱不出力，还嫌护工太贵。 | 疲惫
zh-burnout-1 | work_stress | 我当老师当得很累。 | 我当班主任第九年，手机二十四小时不敢静音。 | 早上走到校门口就想掉头。 | 改着作业眼泪会突然掉下来。 | 疲惫
zh-money-1 | money | 我欠了网贷。 | 开店借了八万网贷，现在滚到了二十多万。 | 丈夫还以为店里赚钱。 | 我夜里坐在卫生间算还款日，算着就发抖。 | 害怕
zh-breakup-1 | breakup | 我和男友分手了。 | 谈了四年，婚纱照都拍了，他发来一句算了吧。 | 亲戚都以为我年底结婚，我到现在没敢说。 | 我气他窝囊，又总想起他给我焐手。 | 伤心
zh-bullying-1 | bullying | 同事都排挤我。 | 同事学我说话取乐，大夜班总塞给我。 | 上周聚餐，只有我没被叫。 | 押金要干满一年才退，还差四个月。 | 孤单
zh-discrimination-1 | bullying | 找工作因为体检被拒了。 | 面试都过了，体检后公司却说岗位取消了。 | 家里等着我挣钱，打官司耗不起。 | 女朋友还不知道这件事。 | 屈辱
zh-grief-1 | grief | 我父亲走了。 | 父亲去年冬天走了，那天弟弟打的电话我都没听见。 | 父亲的语音我一条没删，也不敢点开。 | 弟弟说不怪我，我觉得他就是在怪我。 | 内疚
zh-career-choice-1 | direction | 我要选工作，选不出来。 | 一个是老家的事业编，一个是上海的游戏策划。 | 签约周三截止。 | 我列了三张表，每一张都能推翻前一张。 | 纠结
zh-health-1 | illness | 我体检查出了问题。 | 体检查出甲状腺结节四类，下周三穿刺。 | 我最怕的是嗓子，我靠嗓子吃饭。 | 网上看了几百条，越看越怕。 | 害怕
zh-in-laws-1 | inlaws | 是婆婆的事。 | 婆婆背着我给四个月的孩子喂米汤。 | 丈夫两头和稀泥，让我忍。 | 我一听见厨房里的动静就紧张。 | 憋屈
zh-thesis-1 | exams | 我的论文要做不完了。 | 离盲审只有两个月，导师忽然要我换模型重做。 | 一收到导师的语音就心跳加速。 | 我每天坐到十二点，代码没改几行。 | 焦虑
zh-migration-1 | loneliness | 我一个人在东京。 | 我辞了工作来东京读书，走的时候跟家里吵翻了。 | 上周记错了单，店长当着大家叹了口气。 | 父母打视频来，我说一切顺利。 | 孤独
zh-parents-1 | parents | 我爸妈一直催婚。 | 今年过年他们给我安排了六场相亲。 | 我说不想结，母亲当场捂着胸口哭。 | 一看到家里来电我手心就出汗。 | 压抑
zh-first-job-1 | work_stress | 我刚工作就出了错。 | 我进银行三个月，上周多付给客户两千块。 | 每沓钱我都要数四五遍，越数越慢。 | 我没敢告诉爸妈。 | 紧张
zh-housing-1 | money | 是房子的事。 | 三年前买的期房，到现在还是水泥架子。 | 贷款每月照扣七千，还要付房租。 | 妻子怀孕了，问我孩子生下来住哪儿。 | 无助
"""


def told() -> dict[str, tuple[str, ...]]:
    """Return card id -> (topic key, hint, event, hard, hard, feeling)."""
    rows = [tuple(part.strip() for part in line.split("|")) for line in lines(_ENGLISH + _CHINESE)]
    return {row[0]: row[1:] for row in rows}
